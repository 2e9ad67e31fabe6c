"""What leaves the lane of a queue is exactly what ended."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsys.store.keys import GROUP
from eventsys.store.scripts import script
from eventsys.store.steps import message_step, packed
from tests.support.histories import PROCESS, Historian

T0 = 1_800_000_000_000

pytestmark = pytest.mark.redis62


class Lane:
    """A lane with messages, some of which were fetched."""

    def __init__(self, historian: Historian, *, fetched: int, waiting: int) -> None:
        self._historian = historian
        self.link, self.prefix = historian.link, historian.keys.prefix
        self.stream = historian.keys.lane("ordinary", 5)
        self.link.call("DEL", self.stream)
        self.link.run(script("create_groups"), self.prefix, self.stream)
        steps = [packed(message_step("ordinary", 5, {"m": str(at)})) for at in range(fetched + waiting)]
        self.entries = [reply[1].decode() for reply in self.link.run(script("add"), self.prefix, T0, *steps)]
        self.link.call("XREADGROUP", "GROUP", GROUP, PROCESS, "COUNT", fetched, "STREAMS", self.stream, ">")

    def end(self, entries: list[str]) -> None:
        self._historian.commit_all(T0 + 5, [(self.stream, entry, ("done",)) for entry in entries])

    def left(self) -> list[str]:
        return [entry.decode() for entry, _ in self.link.call("XRANGE", self.stream, "-", "+")]

    def held(self) -> list[str]:
        return [row[0].decode() for row in self.link.call("XPENDING", self.stream, GROUP, "-", "+", 1000)]


@given(order=st.permutations(range(40)), cuts=st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_messages_that_end_in_any_order_only_those_that_ended_are_gone(
    historian: Historian, order: list[int], cuts: list[int]
) -> None:
    lane = Lane(historian, fetched=40, waiting=5)
    bounds = [0, *sorted(cuts)]
    for begin, end in itertools.pairwise(bounds):
        lane.end([lane.entries[at] for at in order[begin:end]])
        ended = {lane.entries[at] for at in order[:end]}
        assert lane.left() == [entry for entry in lane.entries if entry not in ended]
        assert lane.held() == [entry for entry in lane.entries[:40] if entry not in ended]


def test_what_was_handed_back_stays_though_all_around_it_ends(historian: Historian) -> None:
    lane = Lane(historian, fetched=20, waiting=0)
    first, third, *others = lane.entries[0], lane.entries[2], lane.entries[1], *lane.entries[3:]
    lane.link.call("XCLAIM", lane.stream, GROUP, "returned", 0, first, third, "JUSTID")
    lane.end(others)
    assert lane.left() == lane.held() == [first, third]


def test_the_history_stays_when_entries_of_the_system_leave_its_lane(historian: Historian) -> None:
    kept = [historian.store("order.paid", T0) for _ in range(20)]
    for _ in range(20):
        historian.store("system.warning", T0)
    waiting = historian.store("order.sent", T0)
    fetched = historian.fetch(20)
    historian.commit_dispatched(fetched, T0, [])
    *of_the_system, _ = historian.fetch(21)
    historian.commit_dispatched(of_the_system, T0, [])
    left = historian.link.call("XRANGE", historian.keys.log(5), "-", "+")
    assert [fields[1].decode().split('"')[3] for _, fields in left] == [*kept, waiting]
