"""What has not ended yet: events in a queue, and what waits in the delayed store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from eventsys.clock import from_ms
from eventsys.service import EventService
from eventsys.store.delayed_entries import Entry


@dataclass(frozen=True)
class Waiting:
    """Something that has not ended.

    Attributes:
        kind: `event`, stored and not ended; `delayed event`; `retry` of a delivery; `delayed message` of a plain actor.
        id: Of the event; of a retry `<event id>:<subscription>`; of a message its message id.
        name: The type of an event, the subscription of a retry, the queue of a message.
        due: When it goes on by itself; None: now, with `run()`, or never: `harness.events.get_event(id)` tells.
    """

    kind: Literal["event", "delayed event", "retry", "delayed message"]
    id: str
    name: str
    due: datetime | None = None


def what_waits(events: EventService) -> list[Waiting]:
    """Return what has not ended: the delayed by due time, then the events, by the time they were stored."""
    link, keys = events.broker.link, events.broker.keys
    delayed = [_delayed(one) for one in events.store.delayed.entries()]
    open_ids = [one.decode() for one in link.call("ZRANGE", keys.pending, 0, -1)]
    retried = {one.id.rpartition(":")[0] for one in delayed if one.kind == "retry"}
    records = events.store.get_events([one for one in open_ids if one not in retried])
    return [*delayed, *(Waiting("event", record.id, record.type) for record in records)]


def _delayed(entry: Entry) -> Waiting:
    due = from_ms(entry.due_ms)
    if entry.is_event:
        return Waiting("delayed event", entry.id, entry.step[2], due)
    fields: dict[str, Any] = dict(zip(entry.step[3][::2], entry.step[3][1::2], strict=True))
    if "s" in fields:
        return Waiting("retry", entry.id, fields["s"], due)
    return Waiting("delayed message", entry.id, entry.queue, due)
