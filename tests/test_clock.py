"""The time every process agrees on, and the one a test turns."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import redis

from eventsys import DelayedEvent, EventService
from eventsys.clock import Clock, from_ms
from tests.support.services import Services
from tests.support.waiting import eventually


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
    assert abs(clock.now_ms() - clock.real_ms()) < 60_000


def test_a_clock_tells_how_long_is_left_to_the_fraction_of_a_millisecond() -> None:
    clock = Clock()
    clock.set_from(1_000_000.75, asked_at=clock.monotonic(), answered_at=clock.monotonic())
    assert 30 < clock.until_s(1_060_000) <= 59.99925
    assert clock.until_s(clock.now_ms()) <= 0
    clock.turn_to(500)
    assert (clock.until_s(2_500), clock.until_s(400)) == (2.0, -0.1)


def test_a_clock_tells_how_old_its_reading_is() -> None:
    clock = Clock()
    assert clock.age_s() == float("inf")
    clock.set_from(1_000_000, asked_at=clock.monotonic() - 70, answered_at=clock.monotonic() - 60)
    assert 60 <= clock.age_s() < 120


def test_whoever_wants_the_time_first_has_redis_asked_and_nobody_after(events: EventService) -> None:
    clock = events.broker.clock
    wrong_ms = clock.real_ms() + 300_000
    clock.set_from(wrong_ms, asked_at=clock.monotonic(), answered_at=clock.monotonic())
    assert abs(clock.now_ms() - wrong_ms) < 60_000  # it was set, so Redis is not asked
    fresh = Clock()
    fresh.ask = lambda: fresh.set_from(7_000_000, asked_at=fresh.monotonic(), answered_at=fresh.monotonic())
    assert abs(fresh.now_ms() - 7_000_000) < 60_000


@pytest.mark.redis62
def test_a_process_whose_clock_is_wrong_schedules_by_the_time_of_redis(
    services: Services, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 300)
    seconds, _ = redis_client.time()
    delayed = services.make().schedule("order.reminder", {}, delay="10s")
    assert abs(delayed.delay_until.timestamp() - (seconds + 10)) < 60


def test_a_clock_whose_redis_does_not_answer_goes_on_and_asks_only_now_and_then() -> None:
    clock, asked = Clock(), []
    clock.ask = lambda: asked.append(clock.now_ms())
    assert abs(clock.now_ms() - clock.real_ms()) < 60_000
    assert len(asked) == 1


def test_an_event_loop_is_never_kept_waiting_for_the_time() -> None:
    clock, may_answer, is_asked = Clock(), threading.Event(), threading.Event()

    def ask() -> None:
        is_asked.set()
        assert may_answer.wait(60)
        clock.set_from(7_000_000, asked_at=clock.monotonic(), answered_at=clock.monotonic())

    async def now() -> int:
        return clock.now_ms()

    clock.ask = ask
    assert abs(asyncio.run(now()) - time.time() * 1000) < 60_000
    assert is_asked.wait(60)
    may_answer.set()
    eventually(lambda: clock.now_ms() < 8_000_000)


async def _schedule(events: EventService) -> DelayedEvent:
    return events.schedule("order.reminder", {}, delay="10s")


def test_who_schedules_on_an_event_loop_does_so_by_the_time_of_redis(
    services: Services, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() - 300)
    delayed = asyncio.run(_schedule(services.make()))
    seconds, _ = redis_client.time()
    assert abs(delayed.delay_until.timestamp() - (seconds + 10)) < 60


def test_a_process_that_only_publishes_hears_of_it_when_the_clock_of_redis_is_set(services: Services) -> None:
    events = services.make()
    events.publish("a.b", {})
    clock = events.broker.clock
    long_ago = clock.monotonic() - 31
    clock.set_from(
        clock.now_ms() - 31_000 - 3_600_000, asked_at=long_ago, answered_at=long_ago
    )  # it was an hour behind
    before_ms = time.time() * 1000
    delayed = events.schedule("order.reminder", {}, delay="10s")
    assert abs(delayed.delay_until.timestamp() * 1000 - before_ms) < 70_000


def test_an_old_reading_is_renewed_beside_whoever_wants_the_time() -> None:
    clock, asked = Clock(), []
    long_ago = clock.monotonic() - 31
    clock.set_from(1_000_000, asked_at=long_ago, answered_at=long_ago)

    def ask() -> None:
        asked.append(threading.current_thread().name)
        clock.set_from(7_000_000, asked_at=clock.monotonic(), answered_at=clock.monotonic())

    clock.ask = ask
    clock.real_ms()
    eventually(lambda: clock.now_ms() >= 7_000_000)
    assert asked == ["eventsys-clock"]


def test_where_no_thread_can_be_had_the_old_time_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = Clock(), []
    long_ago = clock.monotonic() - 31
    clock.set_from(1_000_000, asked_at=long_ago, answered_at=long_ago)
    clock.ask = lambda: asked.append(1)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert 1_031_000 <= clock.now_ms() < 1_100_000
    clock.now_ms()
    eventually(lambda: asked == [1])


def test_a_forked_child_asks_by_itself_though_its_parent_was_asking() -> None:
    clock, may_answer, is_asked = Clock(), threading.Event(), threading.Event()
    long_ago = clock.monotonic() - 31
    clock.set_from(1_000_000, asked_at=long_ago, answered_at=long_ago)

    def ask() -> None:
        is_asked.set()
        may_answer.wait(60)

    clock.ask = ask
    clock.now_ms()
    assert is_asked.wait(60)
    clock.forget_process()  # what the child does; the thread that asks is not there
    is_asked.clear()
    clock.now_ms()
    assert is_asked.wait(60)
    may_answer.set()
