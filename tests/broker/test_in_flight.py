"""What a process holds, over all its consumers."""

from __future__ import annotations

from eventsys.broker.in_flight import InFlight
from eventsys.broker.messages import Place


def _place(entry: str) -> Place:
    return Place(queue="q", lane=5, stream="s", entry=entry, holder="me")


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
