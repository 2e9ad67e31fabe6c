"""The demo's events in numbers, from their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from eventsys import DeliveryStatus, EventRecord
from eventsys.cli.demo.chronicle import base_of


@dataclass(frozen=True)
class Row:
    """All events of one type and status.

    Attributes:
        event_type: Their type.
        priority: The name of their priority.
        status: Their status.
        events: How many there are.
        deliveries: How many deliveries they had.
        retries: How many attempts after the first.
        longest: From publishing, or from when it was due, to the end of the last delivery; the longest of them.
    """

    event_type: str
    priority: str
    status: str
    events: int
    deliveries: int
    retries: int
    longest: timedelta


@dataclass(frozen=True)
class Summary:
    """The whole demo.

    Attributes:
        rows: In the order in which the types first appeared.
        waits: From publishing, or from when it was due, to the start of the handler, for each delivery's first attempt.
        has_succeeded: Whether every delivery succeeded.
    """

    rows: tuple[Row, ...]
    waits: tuple[timedelta, ...]
    has_succeeded: bool

    @property
    def events(self) -> int:
        """How many events there were."""
        return sum(row.events for row in self.rows)

    @property
    def deliveries(self) -> int:
        """How many deliveries they had."""
        return sum(row.deliveries for row in self.rows)

    @property
    def retries(self) -> int:
        """How many attempts there were after the first."""
        return sum(row.retries for row in self.rows)

    @property
    def median_wait(self) -> timedelta:
        """The wait for the handler that half of the deliveries did not exceed."""
        return sorted(self.waits)[(len(self.waits) - 1) // 2] if self.waits else timedelta(0)

    @property
    def longest_wait(self) -> timedelta:
        """The longest wait for a handler."""
        return max(self.waits, default=timedelta(0))


def summary_of(records: Sequence[EventRecord[Any]]) -> Summary:
    """Return the numbers of these events."""
    kinds: dict[tuple[str, str, str], list[EventRecord[Any]]] = {}
    for record in records:
        kinds.setdefault((record.type, record.priority.name.lower(), str(record.status)), []).append(record)
    deliveries = [delivery for record in records for delivery in record.deliveries]
    return Summary(
        rows=tuple(_row(kind, those) for kind, those in kinds.items()),
        waits=tuple(wait for record in records for wait in _waits(record)),
        has_succeeded=all(one.status is DeliveryStatus.SUCCEEDED for one in deliveries),
    )


def _row(kind: tuple[str, str, str], records: Sequence[EventRecord[Any]]) -> Row:
    deliveries = [delivery for record in records for delivery in record.deliveries]
    took = [record.processed_at - base_of(record) for record in records if record.processed_at is not None]
    return Row(
        *kind,
        events=len(records),
        deliveries=len(deliveries),
        retries=sum(max(0, delivery.attempts - 1) for delivery in deliveries),
        longest=max([timedelta(0), *took]),
    )


def _waits(record: EventRecord[Any]) -> list[timedelta]:
    starts = [one.history[0].started_at for one in record.deliveries if one.history]
    return [max(timedelta(0), start - base_of(record)) for start in starts if start is not None]
