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
