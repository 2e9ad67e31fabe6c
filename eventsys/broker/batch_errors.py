"""Which deliveries of a batch failed, by what its handler raised."""

from __future__ import annotations

from collections.abc import Collection

from eventsys.errors import BatchError, EventsysError


def failures_of(error: BatchError, event_ids: Collection[str]) -> dict[str, BaseException]:
    """Return the error of each event that failed.

    Args:
        error: What the handler raised.
        event_ids: The events it was given.

    Raises:
        EventsysError: If it blames an event that it was not given: then nobody knows which it means.
    """
    for event_id in error.errors:
        if event_id not in event_ids:
            raise EventsysError(
                f"a BatchError names event {ascii(event_id)[:80]}, which is not in the batch of {len(event_ids)}, so"
                " all of them count as failed; its keys are the ids of events of the list"
            ) from error
    return error.errors
