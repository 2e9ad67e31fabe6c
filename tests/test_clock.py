"""The time every process agrees on, and the one a test turns."""

from __future__ import annotations

from eventsys.clock import Clock, from_ms


def test_a_turned_clock_stands_still_and_real_time_goes_on() -> None:
    clock = Clock()
    clock.turn_to(1_000)
    before = clock.real_ms()
    assert (clock.now_ms(), clock.now()) == (1_000, from_ms(1_000))
    clock.set_from(before + 5_000, asked_at=clock.monotonic(), answered_at=clock.monotonic())
    assert clock.now_ms() == 1_000
    assert clock.real_ms() >= before + 4_000


def test_a_clock_that_goes_on_shows_real_time_again() -> None:
    clock = Clock()
    clock.turn_to(1_000)
    clock.go_on()
    assert abs(clock.now_ms() - clock.real_ms()) < 1_000
