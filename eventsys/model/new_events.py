"""New events, made from what a publisher says about them, and the rules that every event keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from eventsys.clock import from_ms
from eventsys.errors import InvalidEventError
from eventsys.model.assembly import assemble_event, event_class_for
from eventsys.model.event import LONGEST_KEY, DelayedEvent, Event
from eventsys.model.event_types import check_event_type
from eventsys.model.identifiers import check_event_id, check_own_id, new_event_id
from eventsys.model.priority import Priority
from eventsys.model.texts import check_headers, check_source, check_text


def new_event(
    event_type: str,
    payload: Any,
    *,
    now_ms: int,
    event_id: str | None = None,
    source: str = "",
    version: int = 1,
    priority: int = Priority.NORMAL,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    headers: dict[str, str] | None = None,
    idempotency_key: str | None = None,
    depth: int = 0,
) -> Event[Any]:
    """Return a new event, as `Event(...)` would make it, without its cost.

    Everything is checked but the payload, which `encode_payload` judges; it is kept as it is, and a model `M` makes
    an `Event[M]`.

    Args:
        event_type: An exact type name.
        payload: A dictionary or a pydantic model.
        now_ms: The clock's time in milliseconds; it becomes the event's, and part of a new id.
        event_id: The caller's own id; None makes a new one.
        source: Who publishes, at most 512 characters.
        version: Of the payload's shape, from 1.
        priority: One of `Priority`.
        correlation_id: The chain it belongs to; None begins a chain.
        causation_id: The event whose handler publishes it.
        headers: What travels along, at most 64; copied.
        idempotency_key: What makes a second publish return the first event.
        depth: How many events led to this one.

    Raises:
        InvalidEventError: If one of them cannot be; the message says which, and why.
    """
    own_id = new_event_id(now_ms) if event_id is None else check_own_id(event_id)
    is_model = type(payload) is not dict and isinstance(payload, BaseModel)
    event_class: type[Event[Any]] = event_class_for(payload.__class__) if is_model else Event
    fields = {
        "id": own_id,
        "type": check_event_type(event_type),
        "payload": payload,
        "source": check_source(source) if source else "",
        "time": from_ms(now_ms),
        "version": _check_count("version", version, least=1),
        "priority": priority if type(priority) is Priority else _check_priority(priority),
        "correlation_id": own_id if correlation_id is None else check_event_id(correlation_id, "correlation_id"),
        "causation_id": causation_id if causation_id is None else check_event_id(causation_id, "causation_id"),
        "headers": check_headers(headers) if headers else {},
        "idempotency_key": None if idempotency_key is None else _check_key(idempotency_key),
        "depth": _check_count("depth", depth, least=0),
        "is_replay": False,
        "duplicate": False,
    }
    return assemble_event(event_class, fields)


def check_event(event: Event[Any]) -> None:
    """Refuse an event that breaks a rule: pydantic does not look at what `model_copy(update=...)` changes.

    Everything is checked but the payload, which `encode_payload` judges.

    Raises:
        InvalidEventError: If it does; the message says how.
    """
    check_own_id(event.id)
    check_event_type(event.type)
    check_source(event.source)
    time_in_utc(event.time)
    _check_count("version", event.version, least=1)
    if type(event.priority) is not Priority:
        _check_priority(event.priority)
    check_event_id(event.correlation_id, "correlation_id")
    if event.causation_id is not None:
        check_event_id(event.causation_id, "causation_id")
    if event.headers or not isinstance(event.headers, dict):
        check_headers(event.headers)
    if event.idempotency_key is not None:
        _check_key(event.idempotency_key)
    _check_count("depth", event.depth, least=0)
    if isinstance(event, DelayedEvent):
        _check_count("max_retries", event.max_retries, least=0)
        if event.key is not None:
            check_waiting_key(event.key)


def check_waiting_key(key: Any) -> None:
    """Refuse what cannot be the caller's name for an event that waits.

    Raises:
        InvalidEventError: If it is no text of 1 to 512 letters.
    """
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        raise InvalidEventError(
            f"key={ascii(key)[:60]} will not do; a key is a text of 1 to {LONGEST_KEY} letters, such as"
            " 'order:42:reminder'"
        )


def time_in_utc(moment: Any) -> datetime:
    """Return the time of an event in UTC.

    Raises:
        InvalidEventError: If it is no aware datetime, or outside of what UTC can tell.
    """
    if not isinstance(moment, datetime):
        raise InvalidEventError(f"time is an aware datetime, not {type(moment).__name__}")
    if moment.tzinfo is None:
        raise InvalidEventError(f"time {moment.isoformat()} has no time zone; use datetime.now(timezone.utc)")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidEventError(f"time {moment.isoformat()} is outside the years 1 to 9999 in UTC") from error


def _check_key(value: Any) -> str:
    key = check_text("idempotency_key", value)
    if not 0 < len(key) <= LONGEST_KEY:
        raise InvalidEventError(f"idempotency_key has {len(key)} characters, and must have 1 to {LONGEST_KEY}; hash it")
    return key


def _check_count(name: str, value: Any, *, least: int) -> int:
    if type(value) is int and value >= least:
        return value
    raise InvalidEventError(f"{name} is {ascii(value)[:40]}, and must be a whole number from {least}")


def _check_priority(value: Any) -> Priority:
    try:
        return Priority(value)
    except ValueError as error:
        known = ", ".join(f"{int(one)} ({one.name})" for one in Priority)
        raise InvalidEventError(f"priority {ascii(value)[:40]} is unknown; use one of {known}") from error
