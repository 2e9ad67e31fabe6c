"""What becomes of delayed events that were taken back, or have fired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventsys.errors import AlreadyFiredError, InvalidEventError, NotFoundError
from eventsys.model.event import DelayedEvent, Event, EventRecord
from eventsys.model.queries import EventFilter, Page, page_of
from eventsys.model.status import EventStatus
from eventsys.store.delayed_entries import USUAL_RETRIES, read_delayed, read_entry
from eventsys.store.history import MOST_SCANNED, History
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import whole_number


def delayed_of_record(record: EventRecord[Any]) -> DelayedEvent[Any]:
    """Return the delayed event that a record tells of; one that was published at once was due when it was stored."""
    event = {name: getattr(record, name) for name in Event.model_fields}
    return DelayedEvent[Any].model_construct(
        **event,
        delay_until=record.delay_until or record.created_at,
        max_retries=USUAL_RETRIES if record.max_retries is None else record.max_retries,
        retry_count=record.retry_count,
        status=record.status,
        created_at=record.created_at,
        updated_at=record.updated_at,
        key=record.key,
    )


def taken_back(outcome: Any, now_ms: int, what: str, get_event: Callable[[str], EventRecord[Any]]) -> DelayedEvent[Any]:
    """Return the event that `cancel_event` took back, as it then is.

    Args:
        outcome: What the script answered.
        now_ms: When it was asked.
        what: The event, in words.
        get_event: Reads its record.

    Raises:
        AlreadyFiredError: If it has fired, and nothing of it was left that nobody had begun.
        NotFoundError: If there is none.
    """
    if outcome[0] == b"unknown":
        raise NotFoundError(f"no {what} waits, and none has fired; eventsys delayed ls shows all that wait")
    if outcome[0] == b"cancelled":
        return read_delayed(read_entry(outcome[2], int(outcome[1])), EventStatus.CANCELLED, updated_ms=now_ms)
    if outcome[1] == 0:
        raise AlreadyFiredError(f"{what} has fired already, and nothing of it waits to be begun; get_event tells more")
    return delayed_of_record(get_event(outcome[2].decode()))


def list_ended(
    link: Link,
    keys: Keys,
    wanted: EventFilter,
    history: History,
    get_events: Callable[[list[str]], list[EventRecord[Any]]],
) -> Page[DelayedEvent[Any]]:
    """Return a page of the delayed events that ended with the wanted status, by due time, among the newest 10,000.

    Raises:
        InvalidEventError: If a cursor is given: this list goes on by page.
    """
    if wanted.cursor is not None:
        raise InvalidEventError(
            "a list of delayed events that ended goes on by page; its pages give no cursor, so leave it out"
        )
    ids, is_exact = _newest(history, wanted)
    replies = link.pipeline([("HGET", keys.record(one), "due_ms") for one in ids]) if ids else []
    due = [None if isinstance(reply, Exception) else whole_number(reply) for reply in replies]
    low = float("-inf") if wanted.start_time is None else wanted.start_time.timestamp() * 1000
    high = float("inf") if wanted.end_time is None else wanted.end_time.timestamp() * 1000
    known = sorted((ms, one) for one, ms in zip(ids, due, strict=True) if ms and low <= ms < high)
    first = (wanted.page - 1) * wanted.page_size
    records = get_events([one for _, one in known[first : first + wanted.page_size]])
    return page_of(DelayedEvent[Any])(
        items=[delayed_of_record(one) for one in records],
        total=len(known),
        total_is_exact=is_exact,
        page=wanted.page,
        page_size=wanted.page_size,
    )


def _newest(history: History, wanted: EventFilter) -> tuple[list[str], bool]:
    """Return the ids of the newest events that fit, delayed or not, and whether these are all."""
    ids: list[str] = []
    narrowed = {"page": 1, "page_size": 500, "start_time": None, "end_time": None, "order": "newest", "cursor": None}
    while len(ids) < MOST_SCANNED:
        found = history.find(wanted.model_copy(update=narrowed))
        ids += [event_id for event_id, _ in found.events]
        narrowed["cursor"] = found.next_cursor
        if found.next_cursor is None:
            return ids, True
    return ids, False
