"""How messages get to the threads that handle them."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

import eventsys.broker.handoff as handoff_module
from eventsys.broker.handoff import Handoff
from tests.support.waiting import eventually


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


def test_what_is_not_begun_is_taken_back() -> None:
    handoff = Handoff(2)
    hand = handoff.new_hand()
    handoff.put([message(number) for number in range(3)])
    handoff.fill(hand, 0)
    assert numbers(handoff.take_back()) == [0, 1, 2]
    handoff.fill(hand, 0)
    assert numbers(hand) == []


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


def test_a_thread_steps_back_while_another_is_at_fast_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all of them go on for as long as messages wait, and each waits for the interpreter at each message."""
    for name, value in {"_BRISK": 0, "_BUSY": 0, "_LONG": 10**9}.items():  # nothing counts as slow
        monkeypatch.setattr(handoff_module, name, value)
    handoff = Handoff(2)
    busy, other = handoff.new_hand(), handoff.new_hand()
    handoff.put([message(number) for number in range(100)])
    handoff.fill(busy, 0)
    thread = threading.Thread(target=handoff.fill, args=(other, 0), daemon=True)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    done: list[int] = []
    while busy:
        done.append(busy.popleft().number)
        if not busy:
            handoff.fill(busy, 0)
    thread.join(60)
    assert (done, numbers(other)) == (list(range(100)), [])


def test_a_thread_that_stepped_back_works_when_the_other_one_stands_still() -> None:
    handoff = Handoff(2)
    stuck, other = handoff.new_hand(), handoff.new_hand()
    handoff.put([message(number) for number in range(100)])
    handoff.fill(stuck, 0)
    handoff.fill(other, 0)
    assert numbers(other) == list(range(32, 64))


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass: at a hundred seconds, of which ten were computed."""
    times = SimpleNamespace(monotonic=lambda: 100.0, process_time=lambda: 10.0)
    monkeypatch.setattr("eventsys.broker.handoff.time", times)


@pytest.mark.usefixtures("still")
def test_all_go_on_while_handlers_wait_for_longer_each_time() -> None:
    handoff = Handoff(2)
    lengths = []
    for _ in range(7):
        handoff._let_all_work()
        lengths.append(round(handoff._blocks_until - 100.0, 1))
        handoff._blocks_until = 100.0  # it is over, and nothing was begun
        handoff._all_work_since = (99.0, 0, 10.0)
        assert handoff._still_block()
    assert lengths[0] < lengths[-1] == 4.0
    handoff._blocks_until = 99.0
    handoff._let_all_work()
    assert round(handoff._blocks_until - 100.0, 1) <= 0.3


@pytest.mark.usefixtures("still")
def test_all_stop_when_handlers_are_fast_again() -> None:
    handoff = Handoff(2)
    handoff._let_all_work()
    handoff._all_work_since = (99.99, -10_000, 9.0)
    assert not handoff._still_block()


def test_a_message_that_finds_all_threads_idle_waits_for_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks on does so for 5 ms, and may look at nobody any more."""
    monkeypatch.setattr(handoff_module, "_LOOK_S", 60)
    handoff = Handoff(2)
    hands = [handoff.new_hand(), handoff.new_hand()]
    handoff.put([message(0), message(1)])
    handoff.fill(hands[0], 0)
    threads = [threading.Thread(target=handoff.fill, args=(hands[1], 60), daemon=True)]
    threads[0].start()
    eventually(lambda: handoff._has_onlooker)
    hands[0].clear()  # its thread has handled them
    threads.append(threading.Thread(target=handoff.fill, args=(hands[0], 60), daemon=True))
    threads[1].start()
    eventually(lambda: handoff._idle == 2)
    handoff.put([message(2)])
    eventually(lambda: [numbers(hand) for hand in hands if hand] == [[2]], timeout_s=30)


def test_who_leads_keeps_a_message_only_where_another_can_lead() -> None:
    handoff = Handoff(2)
    leading, other = handoff.new_hand(), handoff.new_hand()
    handoff.leave_lead()
    assert handoff.fill(leading, 0)
    assert not handoff.keep(leading, [message(0)]), "nobody is idle"
    leads: list[bool] = []
    idle = threading.Thread(target=lambda: leads.append(handoff.fill(other, 60)))
    idle.start()
    eventually(lambda: handoff.keep(leading, [message(1), message(2)]))
    idle.join(60)
    assert (leads, numbers(leading), numbers(other)) == ([True], [1], [])
    assert not handoff.fill(other, 0)
    assert numbers(other) == [2]


def test_one_thread_leads_at_a_time() -> None:
    handoff = Handoff(2)
    assert not handoff.take_lead(), "nobody is to, at first"
    handoff.leave_lead()
    assert (handoff.take_lead(), handoff.take_lead()) == (True, False)
