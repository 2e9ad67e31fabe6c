"""How messages get to the threads that handle them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from eventsys.broker.handoff import Handoff


def message(number: int, priority: int = 0) -> Any:
    return SimpleNamespace(number=number, actor=SimpleNamespace(priority=priority))


def numbers(messages: Any) -> list[int]:
    return [one.number for one in messages]


def test_a_thread_takes_a_chunk_in_the_order_it_came() -> None:
    handoff = Handoff(2)
    hand = handoff.new_hand()
    handoff.put([message(number) for number in range(5)])
    handoff.fill(hand, 0)
    assert numbers(hand) == [0, 1, 2, 3, 4]


def test_an_idle_thread_takes_the_later_half_of_what_another_has_not_begun() -> None:
    handoff = Handoff(2)
    slow, idle = handoff.new_hand(), handoff.new_hand()
    handoff.put([message(number) for number in range(8)])
    handoff.fill(slow, 0)
    handoff.fill(idle, 0)
    assert (numbers(slow), numbers(idle)) == ([0, 1, 2, 3], [4, 5, 6, 7])


def test_even_the_last_message_is_taken_from_a_thread_that_does_not_begin_it() -> None:
    handoff = Handoff(2)
    slow, idle = handoff.new_hand(), handoff.new_hand()
    handoff.put([message(0)])
    handoff.fill(slow, 0)
    handoff.fill(idle, 0)
    assert (numbers(slow), numbers(idle)) == ([], [0])


def test_actors_with_a_smaller_priority_come_first() -> None:
    handoff = Handoff(1)
    hand = handoff.new_hand()
    handoff.put([message(0, priority=5), message(1, priority=0), message(2, priority=5)])
    handoff.fill(hand, 0)
    assert numbers(hand) == [1]


@pytest.mark.parametrize(("keep", "kept", "returned"), [(0, [], [0, 1, 2]), (2, [0, 1], [2])])
def test_what_is_not_begun_is_taken_back_latest_first(keep: int, kept: list[int], returned: list[int]) -> None:
    handoff = Handoff(2)
    hand = handoff.new_hand()
    handoff.put([message(number) for number in range(3)])
    handoff.fill(hand, 0)
    assert numbers(handoff.take_back(keep=keep)) == returned
    handoff.fill(hand, 0)
    assert numbers(hand) == kept


@pytest.mark.parametrize(("used_s", "looks"), [(0.0, 1), (0.005, 10)], ids=["it waits", "it computes"])
def test_the_others_help_at_once_where_a_handler_waits_and_later_where_it_computes(
    monkeypatch: pytest.MonkeyPatch, used_s: float, looks: int
) -> None:
    looked = 0

    def wait(_timeout_s: float) -> bool:
        nonlocal looked
        looked += 1
        return False

    times = SimpleNamespace(monotonic=lambda: 0.005 * looked, process_time=lambda: used_s * looked)
    monkeypatch.setattr("eventsys.broker.handoff.time", times)
    handoff = Handoff(2)
    slow, idle = handoff.new_hand(), handoff.new_hand()
    handoff.put([message(number) for number in range(5)])
    handoff.fill(slow, 0)
    monkeypatch.setattr(handoff, "_changed", SimpleNamespace(wait=wait))
    handoff._look_on()
    assert (looked, handoff._is_blocking()) == (looks, True)
    assert len(idle) == 0
