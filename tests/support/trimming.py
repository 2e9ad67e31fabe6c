"""Taking events out of a history, and looking at what is left."""

from __future__ import annotations

from typing import Any

from eventsys import EventFilter, EventService
from eventsys.store.retention import Retention, RetentionLimits
from tests.support.histories import Historian

HOUR = 3_600_000


def retention_of(service: EventService, **limits: Any) -> Retention:
    """Return what trims the history of a service to an hour and a million events, or to other limits."""
    given = {"age_ms": HOUR, "events": 1_000_000, **limits}
    return Retention(service.broker.link, service.broker.keys, RetentionLimits(**given))


def trim_all(retention: Retention, now_ms: int, *, takes_young: bool = True) -> int:
    """Take steps until there is no more to take out, and return how much that was."""
    gone = 0
    while True:
        step = retention.trim(now_ms, takes_young=takes_young)
        gone += step.events + step.of_classes
        if not step.has_more:
            return gone


def ids_in(events: EventService, **wanted: Any) -> list[str]:
    """Return the ids of the events that the history tells of, the oldest first."""
    page = events.get_event_records(EventFilter(order="oldest", page_size=500, **wanted))
    assert page.total == len(page.items)
    return [one.id for one in page.items]


def keys_left(historian: Historian, pattern: str) -> list[bytes]:
    """Return the keys below the prefix of the bus that fit a pattern."""
    return sorted(historian.link.call("KEYS", f"{historian.keys.prefix}:{pattern}"))
