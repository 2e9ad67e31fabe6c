"""What Redis held when a run was at rest, kept beside its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from eventsys import DeliveryStatus, EventService
from eventsys.model.event import EventRecord
from eventsys.model.priority import LANES

_PAGE = 500


class StoredDelivery(msgspec.Struct, frozen=True):
    """One delivery: whose it is, how it ended, and why it was given up, where it was."""

    subscription: str
    status: str
    error: str | None = None
    reason: str | None = None


class StoredEvent(msgspec.Struct, frozen=True):
    """One entry of the log.

    Attributes:
        id: The event's id.
        type: Its type.
        cause: The event whose handler published it.
        status: What its record says; None: it has none.
        deliveries: Those of its record.
    """

    id: str
    type: str
    cause: str | None
    status: str | None = None
    deliveries: list[StoredDelivery] = []


def keep_stored(events: EventService, client: Any, path: Path) -> None:
    """Write down every entry of the log, and what its record says.

    Args:
        events: The service.
        client: A client of its Redis.
        path: The file, which is there only when it is whole.
    """
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        for page in _pages(events, client):
            records = {one.id: one for one in events.store.get_events([envelope["id"] for envelope in page])}
            for envelope in page:
                file.write(msgspec.json.encode(_stored(events, envelope, records.get(envelope["id"]))) + b"\n")
    beside.replace(path)


def read_stored(path: Path) -> list[StoredEvent] | None:
    """Return what was kept; None where nothing was."""
    if not path.exists():
        return None
    decoder = msgspec.json.Decoder(StoredEvent)
    with path.open("rb") as lines:
        return [decoder.decode(line) for line in lines]


def _pages(events: EventService, client: Any) -> Iterator[list[dict[str, Any]]]:
    for lane in LANES:
        stream, after = events.broker.keys.log(lane), "-"
        while entries := client.xrange(stream, after, count=_PAGE):
            after = f"({entries[-1][0]}"
            yield [msgspec.json.decode(fields["e"]) for _, fields in entries]


def _stored(events: EventService, envelope: dict[str, Any], record: EventRecord[Any] | None) -> StoredEvent:
    event_id, cause = envelope["id"], envelope.get("causation_id")
    if record is None:
        return StoredEvent(event_id, envelope["type"], cause)
    deliveries = [
        StoredDelivery(
            one.subscription, one.status, one.error,
            events.dead_letters.show(f"{event_id}:{one.subscription}").reason
            if one.status is DeliveryStatus.DEAD
            else None,
        )
        for one in record.deliveries
    ]  # fmt: skip
    return StoredEvent(event_id, envelope["type"], cause, record.status, deliveries)
