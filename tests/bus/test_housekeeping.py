"""The history is kept within its limits, and says so before it forgets what is young."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import EventFilter
from eventsys.bus.housekeeping import EVICTION, HISTORY_FULL
from tests.support.histories import Historian
from tests.support.waiting import eventually


def _full_history(services: Any) -> tuple[Any, int]:
    """Return a service whose history is beyond its ten events, all of them dispatched, and the time."""
    events = services.make(retention_count=10)
    historian = Historian(events)
    now_ms = events.broker.clock.now_ms()
    for _ in range(13):
        historian.store("a.b", now_ms)
    historian.dispatch(now_ms)
    return events, now_ms


def _troubles(events: Any) -> list[str]:
    return [trouble.key for trouble in events.bus.system.troubles()]


def test_a_warning_is_out_before_young_events_go_and_its_end_when_there_is_room(services: Any) -> None:
    events, now_ms = _full_history(services)
    keeper = events.bus.housekeeping
    assert keeper.trim(now_ms) == 0
    assert events.bus.system.flush(60)
    [warning] = events.get_event_records(EventFilter(types=("system.warning",))).items
    assert warning.payload["rule"] == "history"
    assert warning.payload["details"]["events"] == 13
    assert keeper.trim(now_ms) == 3
    assert keeper.retention.size().trimmed_young_events == 3
    assert keeper.tidy(now_ms) == 0
    assert _troubles(events) == [HISTORY_FULL]
    later_ms = now_ms + 25 * 3_600_000
    assert keeper.trim(later_ms) == 10
    keeper.tidy(later_ms)
    eventually(lambda: _troubles(events) == [])


def test_young_events_go_after_a_minute_though_nobody_could_be_warned(
    services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, now_ms = _full_history(services)
    monkeypatch.setattr(events.bus.system, "warn", lambda *_args, **_facts: None)
    assert events.bus.housekeeping.trim(now_ms) == 0
    assert events.bus.housekeeping.trim(now_ms + 59_999) == 0
    assert events.bus.housekeeping.trim(now_ms + 60_000) == 3


def test_a_redis_that_drops_keys_is_reported(services: Any, redis_client: Any) -> None:
    events = services.make()
    events.bus.housekeeping.check_eviction()
    assert _troubles(events) == []
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        events.bus.housekeeping.check_eviction()
        eventually(lambda: _troubles(events) == [EVICTION])
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    events.bus.housekeeping.check_eviction()
    eventually(lambda: _troubles(events) == [])


def test_a_worker_trims_what_it_dispatches(services: Any) -> None:
    events = services.make(retention="1ms")
    events.publish("a.b", {})
    services.work(events)
    eventually(lambda: events.get_event_records(EventFilter(types=("a.b",))).total == 0)
    events.publish("a.b", {})
    eventually(lambda: events.bus.housekeeping.retention.size().trimmed_events == 2)
    assert {"retention", "tidy"} <= set(events.sweeps.names())
