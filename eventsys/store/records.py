"""Reading what is recorded about events: where they stand, and how their deliveries went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from eventsys.clock import from_ms
from eventsys.model.envelope import decode_event
from eventsys.model.event import Attempt, DeliveryRecord, Event, EventRecord
from eventsys.model.status import DeliveryStatus, EventStatus

_ENDED = {
    "s": DeliveryStatus.SUCCEEDED,
    "d": DeliveryStatus.DEAD,
    "x": DeliveryStatus.EXPIRED,
    "c": DeliveryStatus.CANCELLED,
}
_ATTEMPTED = {"s": "succeeded", "f": "failed", "d": "failed", "x": "expired", "c": "cancelled"}


def read_record(
    fields: Mapping[str, str], envelope: bytes | str, names: Mapping[int, str], workers: Mapping[str, str]
) -> EventRecord[Any]:
    """Return the record of an event.

    Args:
        fields: Its record hash.
        envelope: The event's stored form.
        names: The subscriptions by number.
        workers: The processes by number, as `host:pid`.
    """
    event: Event[Any] = decode_event(envelope, dict[str, Any])
    deliveries = [
        _read_delivery(names.get(int(field), f"subscription {field}"), lines, workers)
        for field, lines in sorted(fields.items())
        if field.isdecimal()
    ]
    status = _status(fields)
    ended = [one.ended_at for one in deliveries if one.ended_at is not None]
    processed_at = max(ended) if ended and status is not EventStatus.PENDING else None
    created_at = from_ms(_logged_ms(fields)) if "log" in fields else event.time
    failed = [one for one in deliveries if one.error is not None and one.status is not DeliveryStatus.SUCCEEDED]
    return EventRecord[Any](
        **{name: getattr(event, name) for name in type(event).model_fields},
        status=status,
        delay_until=from_ms(int(fields["due_ms"])) if "due_ms" in fields else None,
        retry_count=max([1, *(one.attempts for one in deliveries)]) - 1,
        created_at=created_at,
        updated_at=max([created_at, *ended]),
        processed_at=processed_at,
        error=failed[-1].error if failed else None,
        deliveries=deliveries,
    )


def _status(fields: Mapping[str, str]) -> EventStatus:
    if "status" in fields:
        return EventStatus(fields["status"])
    return EventStatus.DELIVERED if fields.get("open") == "0" else EventStatus.PENDING


def _logged_ms(fields: Mapping[str, str]) -> int:
    return int(fields["log"].partition(":")[2].partition("-")[0])


def _read_delivery(name: str, lines: str, workers: Mapping[str, str]) -> DeliveryRecord:
    attempts = [_read_attempt(at, line, workers) for at, line in enumerate(lines.split("\n"), start=1) if line]
    if not attempts:
        return DeliveryRecord(subscription=name, status=DeliveryStatus.PENDING)
    last, letter = attempts[-1], lines.rpartition("\n")[2][0]
    status = _ENDED.get(letter, DeliveryStatus.PENDING)
    is_over = status is not DeliveryStatus.PENDING
    return DeliveryRecord(
        subscription=name,
        status=status,
        attempts=len(attempts),
        started_at=last.started_at,
        ended_at=_end_of(last) if is_over else None,
        duration=last.duration,
        worker=last.worker,
        error=last.error,
        traceback=last.traceback,
        history=attempts,
    )


def _read_attempt(number: int, line: str, workers: Mapping[str, str]) -> Attempt:
    started_ms, took_us, worker, *rest = line[1:].split(",", 3)
    error, trace = json.loads(rest[0]) if rest else (None, None)
    return Attempt(
        number=number,
        status=_ATTEMPTED[line[0]],
        started_at=from_ms(int(started_ms)),
        duration=timedelta(microseconds=int(took_us)),
        worker=workers.get(worker),
        error=error or None,
        traceback=trace or None,
    )


def _end_of(attempt: Attempt) -> datetime | None:
    if attempt.started_at is None or attempt.duration is None:
        return attempt.started_at
    return attempt.started_at + attempt.duration
