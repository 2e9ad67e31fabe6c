"""Reading what is recorded about events: where they stand, and how their deliveries went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from eventsys.clock import from_ms
from eventsys.model.envelope import decode_header, shown_event
from eventsys.model.event import Attempt, DeliveryRecord, Event, EventRecord
from eventsys.model.status import DeliveryStatus, EventStatus

_STATUS = {
    "s": DeliveryStatus.SUCCEEDED,
    "f": DeliveryStatus.WAITING,
    "r": DeliveryStatus.PENDING,
    "d": DeliveryStatus.DEAD,
    "x": DeliveryStatus.EXPIRED,
    "c": DeliveryStatus.CANCELLED,
}
_OUTCOMES = {"r": "redriven", "s": "succeeded", "f": "failed", "d": "failed", "x": "expired", "c": "cancelled"}

#: How a delivery begins in a record before its first attempt ended: with where it stands.
_PLACE = "@"

#: How the errors begin that mean that an attempt ran too long.
_TIMEOUTS = ("TimeLimitExceeded",)


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
    header = decode_header(envelope)
    event: Event[Any] = shown_event(header)
    deliveries = [
        _read_delivery(_name(number, names), lines, workers)
        for number, lines in sorted(fields.items())
        if number.isdecimal()
    ]
    replays = [
        _read_delivery(f"{_name(number, names)}#{replay}", lines, workers)
        for number, replay, lines in _replayed(fields)
    ]
    status = _status(fields)
    ended = [one.ended_at for one in deliveries if one.ended_at is not None]
    if "ended_ms" in fields:
        ended.append(from_ms(int(fields["ended_ms"])))
    processed_at = max(ended) if ended and status is not EventStatus.PENDING else None
    created_at = _created_at(fields, event)
    failed = [one for one in deliveries if one.error is not None and one.status is not DeliveryStatus.SUCCEEDED]
    return EventRecord[Any](
        **{name: getattr(event, name) for name in type(event).model_fields},
        status=status,
        delay_until=from_ms(int(float(fields["due_ms"]))) if "due_ms" in fields else None,
        max_retries=header.max_retries,
        retry_count=max(0, max((one.attempts for one in deliveries), default=0) - 1),
        created_at=created_at,
        updated_at=max([created_at, *ended, *(one.ended_at for one in replays if one.ended_at is not None)]),
        processed_at=processed_at,
        key=fields.get("key"),
        error=failed[-1].error if failed else None,
        deliveries=[*deliveries, *replays],
    )


def _name(number: str, names: Mapping[int, str]) -> str:
    return names.get(int(number), f"subscription {number}")


def _replayed(fields: Mapping[str, str]) -> list[tuple[str, int, str]]:
    """Return number, replay and lines of the deliveries that gave the event again, the oldest replay first."""
    found = []
    for field, lines in fields.items():
        number, _, replay = field.partition("#")
        if number.isdecimal() and replay.isdecimal():
            found.append((number, int(replay), lines))
    return sorted(found, key=lambda one: (int(one[0]), one[1]))


def _status(fields: Mapping[str, str]) -> EventStatus:
    if "status" in fields:
        return EventStatus(fields["status"])
    return EventStatus.DELIVERED if fields.get("open") == "0" else EventStatus.PENDING


def _created_at(fields: Mapping[str, str], event: Event[Any]) -> datetime:
    """Return when the event was accepted: scheduled, or else stored."""
    if "created_ms" in fields:
        return from_ms(int(fields["created_ms"]))
    if "log" in fields and "due_ms" not in fields:
        return from_ms(int(fields["log"].partition(":")[2].partition("-")[0]))
    return event.time


def _read_delivery(name: str, text: str, workers: Mapping[str, str]) -> DeliveryRecord:
    lines = [] if text.startswith(_PLACE) else [line for line in text.split("\n") if line]
    if not lines:
        return DeliveryRecord(subscription=name, status=DeliveryStatus.PENDING)
    status = _STATUS[lines[-1][0]]
    ending = _read_attempt(len(lines), lines[-1], workers)
    # What was cancelled, expired, or killed its process every time left no line of an attempt of its own.
    tried = [line for line in lines if _is_attempt(line)]
    attempts = [_read_attempt(at, line, workers) for at, line in enumerate(tried, start=1)]
    last = attempts[-1] if attempts else None
    return DeliveryRecord(
        subscription=name,
        status=status,
        attempts=len(attempts),
        started_at=last.started_at if last else None,
        ended_at=None if status.is_open else _end_of(ending),
        duration=last.duration if last else None,
        worker=last.worker if last else None,
        error=ending.error,
        traceback=ending.traceback,
        history=attempts,
    )


def _is_attempt(line: str) -> bool:
    """Say whether a line tells of an attempt; those that were ended from outside name no worker."""
    return line[0] in "sfd" and line[1:].split(",", 3)[2] != "0"


def _read_attempt(number: int, line: str, workers: Mapping[str, str]) -> Attempt:
    started_ms, took_us, worker, *rest = line[1:].split(",", 3)
    error, trace = json.loads(rest[0]) if rest else (None, None)
    return Attempt(
        number=number,
        status=_outcome(line[0], error),
        started_at=from_ms(int(started_ms)),
        duration=timedelta(microseconds=int(took_us)),
        worker=workers.get(worker),
        error=error or None,
        traceback=trace or None,
    )


def _outcome(letter: str, error: str | None) -> str:
    if letter in "fd" and error is not None and error.startswith(_TIMEOUTS):
        return "timeout"
    return _OUTCOMES[letter]


def _end_of(attempt: Attempt) -> datetime | None:
    if attempt.started_at is None or attempt.duration is None:
        return attempt.started_at
    return attempt.started_at + attempt.duration
