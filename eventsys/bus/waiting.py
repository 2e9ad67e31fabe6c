"""Waiting until an event has come to its end."""

from __future__ import annotations

from typing import Any

from eventsys.broker.joining import wait_until
from eventsys.errors import WaitTimeoutError
from eventsys.model.durations import DurationLike, to_milliseconds
from eventsys.model.event import EventRecord
from eventsys.model.expecting import expect_id
from eventsys.store.event_store import EventStore


def wait_for_end(store: EventStore, event_id: str, timeout: DurationLike) -> EventRecord[Any]:
    """Return the record of an event as soon as all its deliveries have ended.

    Raises:
        WaitTimeoutError: If that takes longer than `timeout`.
        NotFoundError: If there is no such event by then.
    """

    expect_id(event_id)

    def is_over() -> bool:
        status = store.status_of(event_id)
        return status is not None and status.is_final

    has_ended = wait_until(is_over, to_milliseconds(timeout))
    record = store.get_event(event_id)
    # It may have ended since the last look.
    if has_ended or record.status.is_final:
        return record
    raise WaitTimeoutError(
        f"event {event_id!r} is still {record.status} after {timeout}; eventsys doctor says what holds it up"
    )
