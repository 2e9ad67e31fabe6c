"""What has not ended yet: events in a queue, and what waits in the delayed store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from eventsys.clock import from_ms
from eventsys.model.envelope import decode_header
from eventsys.model.event import Event, EventRecord
from eventsys.model.patterns import pattern_matches
from eventsys.model.status import DeliveryStatus
from eventsys.model.subscription import Subscription
from eventsys.service import EventService
from eventsys.store.delayed_entries import Entry, read_delayed
from eventsys.store.keys import CRON_QUEUE


@dataclass(frozen=True)
class Waiting:
    """Something that has not ended.

    Attributes:
        kind: `event`, stored and not ended; `delayed event`; `retry` of a delivery; `delayed message` of a plain actor.
        id: Of the event; of a retry `<event id>:<subscription>`; of a message its message id.
        name: The type of an event, the subscription of a retry, the queue of a message.
        due: When it goes on by itself; None: now, with `run()`, or never: `harness.events.get_event(id)` tells.
        event_type: The type of the event, of a retry too; None of a message.
        subscriptions: Those that have it still to handle; of what is not dispatched yet those that want it now.
    """

    kind: Literal["event", "delayed event", "retry", "delayed message"]
    id: str
    name: str
    due: datetime | None = None
    event_type: str | None = None
    subscriptions: tuple[str, ...] = ()


def what_waits(events: EventService) -> list[Waiting]:
    """Return what has not ended: the delayed by due time, then the events, by the time they were stored.

    An event of which all that is left are retries is not named beside them, nor is the next tick of a cron task.
    """
    link, keys = events.broker.link, events.broker.keys
    _, known = events.bus.subscriptions.all()
    entries = [one for one in events.store.delayed.entries() if not _is_own(one)]
    delayed = [_delayed(one, known) for one in entries]
    open_ids = [one.decode() for one in link.call("ZRANGE", keys.pending, 0, -1)]
    retried = {one.id.rpartition(":")[0] for one in delayed if one.kind == "retry"}
    stored = [(one, _still_for(one, known)) for one in events.store.get_events(open_ids)]
    return [*delayed, *(_event(one, left) for one, left in stored if left or one.id not in retried)]


def _is_own(entry: Entry) -> bool:
    """Say whether eventsys waits for itself: for the next tick of a cron task, or for the end of a run."""
    return entry.queue == CRON_QUEUE and entry.id.startswith(("cron-tick:", "cron-end:"))


def _event(record: EventRecord[Any], subscriptions: tuple[str, ...]) -> Waiting:
    return Waiting("event", record.id, record.type, event_type=record.type, subscriptions=subscriptions)


def _delayed(entry: Entry, known: Sequence[Subscription]) -> Waiting:
    due = from_ms(entry.due_ms)
    if entry.is_event:
        event_type = entry.step[2]
        return Waiting("delayed event", entry.id, event_type, due, event_type, _wanting(read_delayed(entry), known))
    fields: dict[str, Any] = dict(zip(entry.step[3][::2], entry.step[3][1::2], strict=True))
    if "s" in fields:
        name = fields["s"]
        return Waiting("retry", entry.id, name, due, decode_header(fields["e"]).type, (_whose(name),))
    return Waiting("delayed message", entry.id, entry.queue, due)


def _still_for(record: EventRecord[Any], known: Sequence[Subscription]) -> tuple[str, ...]:
    """Return the subscriptions that have an event to handle now."""
    if not record.deliveries:
        return _wanting(record, known)
    return tuple(_whose(one.subscription) for one in record.deliveries if one.status is DeliveryStatus.PENDING)


def _wanting(event: Event[Any], known: Sequence[Subscription]) -> tuple[str, ...]:
    """Return the subscriptions that an event would be dispatched to."""
    fields = event.model_dump(mode="json")
    return tuple(
        one.name
        for one in known
        if pattern_matches(one.pattern, event.type)
        and (one.payload_filter is None or one.payload_filter.matches(fields))
    )


def _whose(delivery: str) -> str:
    """Return the subscription of a delivery; that of a replay has its number behind the name."""
    return delivery.partition("#")[0]
