"""The events that tell of cron tasks and their runs, as steps that ride on whatever makes them true."""

from __future__ import annotations

from pydantic import BaseModel

from eventsys.model.envelope import encode_event
from eventsys.model.new_events import new_event
from eventsys.model.payloads import encode_payload

from .steps import Step, event_step

#: Who publishes them.
SOURCE = "eventsys.cron"


def cron_event_step(
    event_type: str,
    payload: BaseModel,
    *,
    now_ms: int,
    event_id: str | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
) -> Step:
    """Return the step that publishes one `cron.task.*` event.

    Args:
        event_type: One of the built-in types.
        payload: Its payload.
        now_ms: The clock's time.
        event_id: Its id, which others may follow from; None makes one.
        correlation_id: The chain of the run it tells of; None begins one.
        causation_id: The event it follows from.
    """
    event = new_event(
        event_type,
        payload,
        now_ms=now_ms,
        event_id=event_id,
        source=SOURCE,
        correlation_id=correlation_id,
        causation_id=causation_id,
    )
    envelope = encode_event(event, encode_payload(payload)).decode()
    is_alone = event_id is None and correlation_id is None
    chain = None if is_alone else event.correlation_id
    return event_step(event.id, event_type, int(event.priority), envelope, chain=chain)
