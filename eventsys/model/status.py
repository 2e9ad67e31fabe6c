"""Where events and deliveries stand."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class EventStatus(StrEnum):
    """Where an event stands, seen over all its deliveries."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the event by itself (a redrive makes it pending again)."""
        return self is not EventStatus.PENDING


class DeliveryStatus(StrEnum):
    """Where one delivery stands: one event on its way to one subscription."""

    PENDING = "pending"
    """In a queue, being handled, or held in the waiting room of its subscription."""
    WAITING = "waiting"
    """An attempt failed; the next one waits for its time."""
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    """Gave up: kept as a dead letter for a person."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether the delivery may still run by itself."""
        return self in _OPEN


_OPEN = frozenset({DeliveryStatus.PENDING, DeliveryStatus.WAITING})


def event_status(deliveries: Iterable[DeliveryStatus]) -> EventStatus:
    """Return the status of an event whose deliveries stand so.

    Pending while one is open; else failed if any is dead; else expired if any expired; else cancelled if all were;
    else delivered. An event without deliveries is delivered: nobody wanted it.
    """
    seen = set(deliveries)
    if seen & _OPEN:
        return EventStatus.PENDING
    if DeliveryStatus.DEAD in seen:
        return EventStatus.FAILED
    if DeliveryStatus.EXPIRED in seen:
        return EventStatus.EXPIRED
    if seen == {DeliveryStatus.CANCELLED}:
        return EventStatus.CANCELLED
    return EventStatus.DELIVERED
