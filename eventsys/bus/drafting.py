"""Making the event that a publisher asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import BaseModel

from eventsys.clock import Clock
from eventsys.errors import CausationDepthError, InvalidEventError
from eventsys.middleware import current_chain
from eventsys.model.assembly import assemble_event
from eventsys.model.catalog import Catalog
from eventsys.model.durations import DurationLike, to_milliseconds
from eventsys.model.envelope import encode_event
from eventsys.model.event import Event
from eventsys.model.event_types import check_event_type
from eventsys.model.identifiers import check_event_id, new_event_id
from eventsys.model.payloads import encode_payload
from eventsys.model.priority import Priority
from eventsys.settings import Settings
from eventsys.store.steps import Step, event_step


class Draft(NamedTuple):
    """An event that may be published.

    Attributes:
        event: The event.
        envelope: Its stored form.
        step: What publishes it.
    """

    event: Event[Any]
    envelope: str
    step: Step


class Drafter:
    """Makes events, and refuses what no worker could decode or no handler was made for.

    Args:
        settings: The limits.
        clock: The time of new events.
        catalog: The models that payloads are checked with.
    """

    def __init__(self, settings: Settings, clock: Clock, catalog: Catalog) -> None:
        self._settings = settings
        self._clock = clock
        self._catalog = catalog
        self._window_ms = to_milliseconds(settings.idempotency_window)

    def draft(
        self,
        event_type: str | BaseModel,
        payload: Any = None,
        *,
        source: str = "",
        priority: Priority | int = Priority.NORMAL,
        id: str | None = None,  # noqa: A002 - the name of the field
        time: datetime | None = None,
        version: int | None = None,
        correlation_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        window: DurationLike | None = None,
    ) -> Draft:
        """Return the event asked for; see `EventService.publish` for the arguments.

        Raises:
            InvalidEventError: If a part of it breaks a rule.
            InvalidPayloadError: If the payload does not fit the model of its type.
            CausationDepthError: If the chain it belongs to is as long as it may be.
        """
        if isinstance(event_type, BaseModel):
            event_type, payload = self._catalog.type_for(type(event_type)), event_type
        check_event_type(event_type)
        payload = self._catalog.check_payload(event_type, {} if payload is None else payload)
        limits = self._settings
        written = encode_payload(payload, max_bytes=limits.max_payload_bytes, max_depth=limits.max_payload_levels)
        chain = current_chain()
        depth = 0 if chain is None else chain.depth + 1
        if depth > limits.max_depth:
            raise CausationDepthError(
                f"{event_type!r} would be number {depth} in a chain of events that publish events, and max_depth is"
                f" {limits.max_depth}; most likely a handler publishes what it handles"
            )
        event_id = new_event_id(self._clock.now_ms()) if id is None else check_event_id(id)
        event = assemble_event(
            Event[Any],
            {
                "id": event_id,
                "type": event_type,
                "payload": payload,
                "source": _text(source, "source"),
                "time": self._clock.now() if time is None else _aware(time),
                "version": self._catalog.version_for(event_type) if version is None else version,
                "priority": _priority(priority),
                "correlation_id": correlation_id or (event_id if chain is None else chain.correlation_id),
                "causation_id": None if chain is None else chain.causation_id,
                "headers": _headers(headers, None if chain is None else chain.traceparent),
                "idempotency_key": None if idempotency_key is None else check_event_id(idempotency_key),
                "depth": depth,
                "is_replay": False,
                "duplicate": False,
            },
            _GIVEN,
        )
        window_ms = self._window_ms if window is None else to_milliseconds(window)
        return self._finish(event, written, window_ms)

    def adopt(self, event: Event[Any]) -> Draft:
        """Return an event that exists already, ready to be published; its payload is checked again.

        Raises:
            InvalidEventError: If its payload cannot be published.
        """
        payload = self._catalog.check_payload(event.type, event.payload)
        limits = self._settings
        written = encode_payload(payload, max_bytes=limits.max_payload_bytes, max_depth=limits.max_payload_levels)
        return self._finish(event, written, self._window_ms)

    @staticmethod
    def _finish(event: Event[Any], written: bytes, window_ms: int) -> Draft:
        envelope = encode_event(event, written).decode()
        key = event.idempotency_key
        return Draft(
            event,
            envelope,
            event_step(event.id, event.type, int(event.priority), envelope, key=key, window_ms=window_ms),
        )


_GIVEN = {"id", "type", "payload", "source", "time", "version", "priority", "correlation_id", "headers", "depth"}


def _text(value: str, name: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 256:
        raise InvalidEventError(f"{name} must be at most 256 printable characters, and this is {ascii(value)[:80]}")
    return value


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidEventError(f"time {moment.isoformat()} has no time zone; use datetime.now(timezone.utc)")
    return moment.astimezone(UTC)


def _priority(value: Priority | int) -> Priority:
    try:
        return Priority(value)
    except ValueError:
        raise InvalidEventError(f"priority {value!r} is none of 1 (low), 5 (normal), 8 (high), 10 (critical)") from None


def _headers(given: Mapping[str, str] | None, traceparent: str | None) -> dict[str, str]:
    headers = dict(given or {})
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str) or not name.isprintable():
            raise InvalidEventError(f"headers are text to text, and {ascii(name)[:80]}: {ascii(value)[:80]} is not")
    if traceparent is not None:
        headers.setdefault("traceparent", traceparent)
    return headers
