"""Listing what waits: a page at a time, the next one due first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from eventsys.clock import first_ms, from_ms, last_ms
from eventsys.errors import InvalidEventError
from eventsys.model.envelope import EventHeader, decode_header, shown_event
from eventsys.model.event import DelayedEvent, WaitingRetry
from eventsys.model.patterns import pattern_matches
from eventsys.model.queries import EventFilter, Page, page_of
from eventsys.model.status import EventStatus
from eventsys.store.delayed_count import count_commands, counted
from eventsys.store.delayed_entries import (
    Entry,
    Position,
    entries_at,
    find_entries,
    in_chunks,
    positions,
    readable_delayed,
)
from eventsys.store.delayed_pages import counted_page, places_of_messages, waiting_messages
from eventsys.store.keys import CRON_QUEUE, Keys
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, text_of
from eventsys.store.renamed import present_names

#: A query that has to read entries to judge them stops after so many, or after so many seconds, and tells where.
MOST_SCANNED = 10_000
LONGEST_SCAN_S = 0.015

#: Entries that are read to be judged in one round trip.
_SCANNED_AT_ONCE = 200

Judge = Callable[[Entry], bool]


def list_delayed(link: Link, keys: Keys, wanted: EventFilter) -> Page[DelayedEvent[Any]]:
    """Return a page of the delayed events that wait and fit; times are due times.

    Without conditions on what an event is, its page is found by counting, however far down it is. Else entries are read
    one after the other, for a bounded time: then the total is a lower bound, and `next_cursor` leads on. They are read
    too where too much else waits among events to count it off; then the total is known all the same.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        wanted: Types, sources, priority, correlation, text; the times are due times. The soonest due is always first.

    Raises:
        InvalidEventError: If it has a condition that says nothing of what waits, or the cursor is none of this list.
    """
    if wanted.ids:
        return _page_of_ids(link, keys, wanted)
    judge, first = _judge_of(wanted), _passed_over(wanted)
    low_ms, high_ms = _bounds(wanted)
    messages = None
    if judge is None and wanted.cursor is None:
        messages = places_of_messages(link, keys, sum(waiting_messages(link, keys).values()))
    if messages is not None:
        total, found = counted_page(
            link, keys, messages, low_ms=low_ms, high_ms=high_ms, first=first, size=wanted.page_size
        )
        items, is_exact = [(at, entry) for at, entry in entries_at(link, keys, found) if entry.is_event], True
        end = found[-1] if len(found) == wanted.page_size and first + len(found) < total else None
    else:
        fits = judge or _any
        is_counted = judge is not None or low_ms is not None or high_ms is not None
        items, total, end = _scan(link, keys, wanted, lambda one: one.is_event and fits(one), is_counted=is_counted)
        is_exact = end is None and wanted.cursor is None
        if not is_counted:
            total, is_exact = counted(link.read(count_commands(keys))), True
        items, end = _cut(items, wanted.page_size, end)
    return page_of(DelayedEvent[Any]).model_construct(
        items=readable_delayed(entry for _, entry in items),
        total=total,
        page=wanted.page,
        page_size=wanted.page_size,
        total_is_exact=is_exact,
        next_cursor=None if end is None else str(end),
    )


def _page_of_ids(link: Link, keys: Keys, wanted: EventFilter) -> Page[DelayedEvent[Any]]:
    """Return a page of those events of given ids that wait and fit."""
    if wanted.cursor is not None:
        raise InvalidEventError("a list of given ids goes on by page; its pages give no cursor, so leave it out")
    low_ms, high_ms = _bounds(wanted)
    fits = _judge_of(wanted) or _any
    found = [one for one in _found(link, keys, list(dict.fromkeys(wanted.ids))) if one.is_event and fits(one)]
    known = sorted((one for one in found if _is_within(one, low_ms, high_ms)), key=lambda one: one.due_ms)
    first = (wanted.page - 1) * wanted.page_size
    return page_of(DelayedEvent[Any]).model_construct(
        items=readable_delayed(known[first : first + wanted.page_size]),
        total=len(known), page=wanted.page, page_size=wanted.page_size, total_is_exact=True, next_cursor=None,
    )  # fmt: skip


def list_retries(
    link: Link, keys: Keys, *, subscription: str | None, page: int, page_size: int, cursor: str | None = None
) -> Page[WaitingRetry[Any]]:
    """Return a page of the deliveries that wait for their next attempt, under the present names of subscriptions.

    Where it is not known where the messages stand, because there are too many, entries are read one after the other
    for a bounded time: then the total is a lower bound, and `next_cursor` leads on.

    Raises:
        InvalidEventError: If the cursor is none of this list.
    """
    wanted = EventFilter(page=page, page_size=page_size, cursor=cursor)
    messages = waiting_messages(link, keys)
    if not messages.keys() - {CRON_QUEUE}:
        return page_of(WaitingRetry[Any])(items=[], total=0, page=page, page_size=page_size)
    renamed = present_names(link, keys)
    present = subscription and renamed.get(subscription, subscription)

    def fits(entry: Entry) -> bool:
        return _is_retry(entry) and (present is None or renamed.get(entry.step[3][1], entry.step[3][1]) == present)

    count = sum(messages.values())
    among = places_of_messages(link, keys, count)
    items, total, end = _scan(link, keys, wanted, fits, among=among, messages=count if cursor is None else None)
    is_exact = end is None and cursor is None
    items, end = _cut(items, page_size, end)
    return page_of(WaitingRetry[Any])(
        items=[
            retry
            for _, entry in items
            if (retry := read_or_pass_over(_place_of(entry), _read_retry, entry, renamed)) is not None
        ],
        total=total,
        page=page,
        page_size=page_size,
        total_is_exact=is_exact,
        next_cursor=None if end is None else str(end),
    )


def matching_ids(link: Link, keys: Keys, wanted: EventFilter) -> Iterator[list[str]]:
    """Give the ids of all delayed events that wait and fit, in lists of up to 500; of a chain only that is read.

    Raises:
        InvalidEventError: If the filter has a condition that says nothing of what waits.
    """
    low_ms, high_ms = _bounds(wanted)
    fits = _judge_of(wanted) or _any
    chunks: Iterable[list[Entry]]
    if wanted.ids:
        chunks = [_found(link, keys, list(dict.fromkeys(wanted.ids)))]
    elif wanted.correlation_id is not None:
        chunks = _of_chain(link, keys, wanted.correlation_id)
    else:
        found = in_chunks(positions(link, keys, low_ms=low_ms, high_ms=high_ms))
        chunks = ([entry for _, entry in entries_at(link, keys, chunk)] for chunk in found)
    for entries in chunks:
        ids = [entry.id for entry in entries if entry.is_event and fits(entry) and _is_within(entry, low_ms, high_ms)]
        if ids:
            yield ids


def _of_chain(link: Link, keys: Keys, correlation_id: str) -> Iterator[list[Entry]]:
    """Give what waits of a chain, by its index; and the event that the chain is named after, which is not in there."""
    seen = {correlation_id}
    yield _found(link, keys, [correlation_id])
    cursor = None
    while cursor != b"0":
        cursor, found = link.call("SSCAN", keys.delayed_chain(correlation_id), cursor or b"0", "COUNT", 500)
        new = {text_of(one) for one in found} - seen  # it gives some twice while the set grows or shrinks
        seen |= new
        yield _found(link, keys, sorted(new))


def _found(link: Link, keys: Keys, entry_ids: list[str]) -> list[Entry]:
    return [entry for entry in find_entries(link, keys, entry_ids) if entry is not None]


def _is_within(entry: Entry, low_ms: int | None, high_ms: int | None) -> bool:
    return (low_ms is None or entry.due_ms >= low_ms) and (high_ms is None or entry.due_ms <= high_ms)


def ready_positions(link: Link, keys: Keys, now_ms: int, limit: int) -> list[Position]:
    """Return where the first entries stand whose time has come."""
    return list(islice(positions(link, keys, high_ms=now_ms), limit))


def _scan(
    link: Link,
    keys: Keys,
    wanted: EventFilter,
    fits: Judge,
    *,
    is_counted: bool = True,
    among: list[Position] | None = None,
    messages: int | None = None,
) -> tuple[list[tuple[Position, Entry]], int, Position | None]:
    """Return the page and one more, how many fit as far as was looked, and where that was, None when it was the end.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        wanted: Page, size, cursor and times.
        fits: Judges an entry.
        is_counted: Whether to look on when the page is full, to count.
        among: Where alone they can be: not so many that it would take too long to fill a page. None: everywhere.
        messages: How many messages there are from the beginning on, where only these fit.
    """
    low_ms, high_ms = _bounds(wanted)
    first = _passed_over(wanted)
    after = None if wanted.cursor is None else Position.parse(wanted.cursor)
    until = time.monotonic() + LONGEST_SCAN_S
    found: list[tuple[Position, Entry]] = []
    matched = looked = met = 0
    if among is None:
        places = positions(link, keys, low_ms=low_ms, high_ms=high_ms, after=after)
    else:
        places = (one for one in among if after is None or one > after)
    for chunk in in_chunks(places, _SCANNED_AT_ONCE):
        for one in entries_at(link, keys, chunk):
            met += not one[1].is_event
            if fits(one[1]):
                if first <= matched <= first + wanted.page_size:
                    found.append(one)
                matched += 1
        looked += len(chunk)
        is_full = len(found) > wanted.page_size
        is_over = looked >= MOST_SCANNED or time.monotonic() > until or (is_full and not is_counted)
        if len(chunk) < _SCANNED_AT_ONCE or met == messages:
            break  # there is nothing more
        may_stop = is_full or (among is None and (looked >= MOST_SCANNED or first == 0))
        if is_over and may_stop:
            return found, matched, chunk[-1]
    return found, matched, None


def _passed_over(wanted: EventFilter) -> int:
    """Return how many that fit come before the page."""
    return 0 if wanted.cursor is not None else (wanted.page - 1) * wanted.page_size


def _cut(
    items: list[tuple[Position, Entry]], size: int, end: Position | None
) -> tuple[list[tuple[Position, Entry]], Position | None]:
    """Return what is on a page, and behind which position the next one begins; None: there is no next one."""
    return (items, end) if len(items) <= size else (items[:size], items[size - 1][0])


def _bounds(wanted: EventFilter) -> tuple[int | None, int | None]:
    low = None if wanted.start_time is None else first_ms(wanted.start_time)
    high = None if wanted.end_time is None else last_ms(wanted.end_time)
    return low, high


def _judge_of(wanted: EventFilter) -> Judge | None:
    """Return what says whether an event fits, None when all do.

    Raises:
        InvalidEventError: If there is a condition that says nothing of what waits: to leave it out would mean all.
    """
    if wanted.subscription is not None:
        raise InvalidEventError("an event waits for no subscription in particular; leave subscription out")
    if wanted.status not in {None, EventStatus.PENDING}:
        raise InvalidEventError(f"what waits is pending, and status is {str(wanted.status)!r}; leave status out")
    text = None if wanted.text is None else wanted.text.encode()

    def fits(header: EventHeader) -> bool:
        return (
            (not wanted.types or any(pattern_matches(pattern, header.type) for pattern in wanted.types))
            and (not wanted.sources or header.source in wanted.sources)
            and (wanted.priority is None or header.priority == wanted.priority)
            and (wanted.correlation_id is None or header.chain_id == wanted.correlation_id)
            and (text is None or text in bytes(header.payload) or text in header.type.encode())
        )

    asked = (wanted.types, wanted.sources, wanted.priority, wanted.correlation_id, wanted.text)
    if not any(asked):
        return None
    return lambda entry: bool(read_or_pass_over(_place_of(entry), lambda: fits(decode_header(entry.envelope))))


def _any(entry: Entry) -> bool:  # noqa: ARG001 - a judge that is content with everything
    return True


def _is_retry(entry: Entry) -> bool:
    """Say whether it is a delivery; what has another shape than ours is none."""
    step = entry.step
    if len(step) < 4 or step[0] != "message" or not isinstance(step[3], list) or len(step[3]) < 2:
        return False
    return bool(step[3][0] == "s" and isinstance(step[3][1], str))


def _place_of(entry: Entry) -> str:
    return f"the delayed store, id {entry.id}"


def _read_retry(entry: Entry, renamed: Mapping[str, str]) -> WaitingRetry[Any]:
    fields = dict(zip(entry.step[3][::2], entry.step[3][1::2], strict=True))
    header, name = decode_header(fields["e"]), renamed.get(fields["s"], fields["s"])
    options = json.loads(fields["o"]) if fields.get("o") else {}
    return WaitingRetry[Any](
        event=shown_event(header),
        subscription=f"{name}#{options['replay']}" if options.get("replay") else name,
        due_at=from_ms(entry.due_ms),
        attempts=int(options.get("retries", 0)),
    )
