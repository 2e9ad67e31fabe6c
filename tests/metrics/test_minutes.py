"""What happened in each minute is read once, and again where something was added, whatever clocks and data do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from eventsys import EventService
from eventsys.store import minutes
from eventsys.store.link import Link
from tests.support.services import Services

_MINUTE_MS = 60_000


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The minutes that were read whole, by round trip, from here on."""
    made: list[list[str]] = []
    pipeline = Link.pipeline

    def counting(link: Link, commands: Sequence[Any]) -> Any:
        if read := [one[1] for one in commands if one[0] == "HGETALL" and ":metrics:minute:" in one[1]]:
            made.append(read)
        return pipeline(link, commands)

    monkeypatch.setattr(Link, "pipeline", counting)
    return made


def _publish_in(events: EventService, ago: int, *types: str) -> None:
    """Publish events of these types so many minutes before the clock's time."""
    clock = events.broker.clock
    now_ms = clock.now_ms()
    clock.turn_to(now_ms - ago * _MINUTE_MS)
    events.publish_many([(name, {}) for name in types])
    clock.turn_to(now_ms)


def _seen(events: EventService) -> dict[int, dict[str, int]]:
    """Return what happened, by how many minutes ago."""
    read = events.store.metrics.look().measurements.minutes()
    assert len(read) == 61
    return {ago: dict(one) for ago, one in enumerate(read) if one}


@pytest.fixture
def busy(events: EventService) -> EventService:
    """A bus on which something happened in three minutes, all of it read."""
    events.broker.clock.turn_to(events.broker.clock.now_ms())
    for ago in (30, 2, 0):
        _publish_in(events, ago, "a.b", "a.c")
    every = {"a.b": 1, "a.c": 1}
    assert _seen(events) == {0: every, 2: every, 30: every}
    return events


@pytest.mark.redis62
def test_only_a_minute_to_which_something_was_added_is_read_again(busy: EventService, trips: list[list[str]]) -> None:
    before = _seen(busy)
    assert _seen(busy) == before
    assert trips == []
    _publish_in(busy, 0, "a.b")
    assert _seen(busy) == {**before, 0: {"a.b": 2, "a.c": 1}}
    this = busy.broker.clock.now_ms() // _MINUTE_MS
    assert trips == [[busy.broker.keys.minute_metrics(this)]]


def test_what_comes_late_is_added_to_its_minute(busy: EventService, trips: list[list[str]]) -> None:
    """As from a process that stood still between its look at the clock and its step."""
    before = _seen(busy)
    _publish_in(busy, 30, "a.c")
    _publish_in(busy, 29, "a.d")
    assert _seen(busy) == {**before, 30: {"a.b": 1, "a.c": 2}, 29: {"a.d": 1}}
    assert len([key for trip in trips for key in trip]) == 2


def test_time_goes_on_and_the_clock_may_be_set_back(busy: EventService) -> None:
    before = _seen(busy)
    clock = busy.broker.clock
    start = clock.now_ms()
    for later in (1, 2, 45, 90):
        clock.turn_to(start + later * _MINUTE_MS)
        assert _seen(busy) == {ago + later: one for ago, one in before.items() if ago + later <= 60}
        assert len(busy.store.metrics._minutes._kept) <= 61
    clock.turn_to(start)
    assert _seen(busy) == before
    clock.turn_to(start - 2 * _MINUTE_MS)
    assert _seen(busy) == {0: before[2], 28: before[30]}
    assert len(busy.store.metrics._minutes._kept) <= 61


def test_what_redis_lost_is_not_remembered(busy: EventService) -> None:
    """Neither where a minute is gone, nor where an older copy of it has been added to as often as the lost one was."""
    link, this = busy.broker.link, busy.broker.clock.now_ms() // _MINUTE_MS
    key = busy.broker.keys.minute_metrics(this)
    saved = link.call("HGETALL", key)
    _publish_in(busy, 0, "a.b")
    assert _seen(busy)[0] == {"a.b": 2, "a.c": 1}
    link.call("DEL", key)
    link.call("HSET", key, *saved)
    _publish_in(busy, 0, "a.c")
    assert _seen(busy)[0] == {"a.b": 1, "a.c": 2}
    for ago in (0, 2, 30):
        link.call("DEL", busy.broker.keys.minute_metrics(this - ago))
    assert _seen(busy) == {}


def test_what_another_process_folds_is_read(busy: EventService, services: Services) -> None:
    other = services.make(name=busy.settings.name)
    other.broker.clock.turn_to(busy.broker.clock.now_ms())
    _publish_in(other, 2, "a.b")
    assert _seen(other) == _seen(busy)
    assert _seen(busy)[2] == {"a.b": 2, "a.c": 1}


def test_many_minutes_are_read_a_few_at_a_time(
    events: EventService, trips: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one go they would keep Redis from all others meanwhile."""
    monkeypatch.setattr(minutes, "_FIELDS_AT_ONCE", 10)
    events.broker.clock.turn_to(events.broker.clock.now_ms())
    for ago in range(8):
        _publish_in(events, ago, "a.b", "a.c", "a.d")
    _publish_in(events, 9, *(f"b.n{number}" for number in range(20)))
    assert len(_seen(events)) == 9
    assert [len(trip) for trip in trips] == [2, 2, 2, 2, 1]
    trips.clear()
    assert len(_seen(events)) == 9
    assert trips == []
