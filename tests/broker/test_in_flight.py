"""What a process holds, over all its consumers."""

from __future__ import annotations

import threading

import pytest

from eventsys.broker import in_flight
from eventsys.broker.in_flight import InFlight
from eventsys.broker.messages import Place


def _place(entry: str, *, is_suspect: bool = False) -> Place:
    return Place(queue="q", lane=5, stream="s", entry=entry, holder="me", is_suspect=is_suspect)


def test_each_of_two_consumers_that_begin_at_once_gathers_what_ends_until_it_is_done() -> None:
    held = InFlight()
    with held.watch() as first:
        with held.watch() as second:
            pass
        held.add([_place("1")])
        held.forget([_place("1")])
        assert first == {("s", "1", "me")}
    assert second == set()
    with held.watch() as later:
        held.add([_place("2")])
        held.forget([_place("2")])
    assert later == {("s", "2", "me")}


@pytest.mark.parametrize("finds_one", [False, True])
def test_a_reader_waits_for_what_another_finds_before_it_claims_a_suspect(
    finds_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "CLAIM_S", 60.0)
    held = InFlight()
    assert held.begin_claim()
    may_claim: list[bool] = []
    other = threading.Thread(target=lambda: may_claim.append(held.begin_claim()))
    other.start()
    if finds_one:
        held.add([_place("1", is_suspect=True)])
    else:
        held.end_claim()
    other.join(30)
    assert may_claim == [not finds_one]


def test_a_claim_that_takes_long_keeps_nobody_waiting_for_long() -> None:
    held = InFlight()
    assert held.begin_claim()
    assert not held.begin_claim()


def test_what_is_being_handed_back_is_new_to_whoever_is_given_it_again() -> None:
    held, place = InFlight(), _place("1")
    held.add([place])
    held.begin_return([place])
    assert held.add([place]) == [True]
    held.hold_no_more([place])
    assert (held.knows("s", "1", "me"), held.held("q")) == (True, 1)
    held.handled(place)
    held.forget([place])
    assert (held.knows("s", "1", "me"), held.held("q"), held.is_busy) == (False, 0, False)


def test_what_is_given_again_and_over_before_it_is_dropped_leaves_nothing_behind() -> None:
    held, place = InFlight(), _place("1")
    held.add([place])
    held.begin_return([place])
    held.add([place])
    held.handled(place)
    held.forget([place])
    held.hold_no_more([place])
    assert (held.knows("s", "1", "me"), held.held("q"), held.is_busy) == (False, 0, False)


def test_what_a_reader_finds_in_its_own_list_while_it_is_handed_back_is_not_new() -> None:
    """The list may be of the moment before: then the message is somebody else's by now."""
    held, before, after = InFlight(), _place("1"), _place("2")
    held.add([before, after])
    held.begin_return([before])
    with held.watch() as over:
        held.begin_return([after])
        assert held.add([before, after], over=over) == [False, False]
    held.hold_no_more([before, after])
    assert len(held) == 0


def test_what_a_new_reader_found_is_not_new_to_the_one_whose_reply_brings_it_late() -> None:
    """Two read one queue, as a worker and `events.start()` may; it is handled before the other's thread goes on."""
    held, place = InFlight(), _place("1")
    assert held.add([place], are_found=True) == [True]
    held.forget([place])
    assert held.add([place]) == [False]
    assert held.add([place], are_found=True) == [True], "its begin failed, and it is found again"
    held.begin_return([place])
    held.hold_no_more([place])
    assert held.add([place]) == [True], "handed back and claimed again"


def test_what_was_found_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    held = InFlight()
    held.add([_place("1")], are_found=True)
    held.forget([_place("1")])
    monkeypatch.setattr(in_flight.time, "monotonic", lambda: float("inf"))
    assert held.add([_place("2"), _place("1")]) == [True, True]
