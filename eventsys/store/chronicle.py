"""Reading more of the history than a page: a whole chain, or all there is, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic_core import to_json

from eventsys.errors import NotFoundError
from eventsys.model.cloudevents import to_cloudevent
from eventsys.model.event import EventRecord
from eventsys.model.queries import EventFilter
from eventsys.model.trace import Trace, build_trace
from eventsys.store.history import History, headers_of, next_size
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of

#: Most events of a trace, unless something else is asked for: more than anybody reads.
USUAL_TRACE = 1_000

#: Events read first; then as their size allows.
_FIRST_READ = 100

#: Most ids of events that wait which Redis is asked for at a time.
_CHUNK = 500

ReadRecords = Callable[[Sequence[tuple[str, bytes | None]]], list[EventRecord[Any]]]


class ExportForm(StrEnum):
    """How exported events are written."""

    JSON_LINES = "jsonl"
    """One record a line: the event with its status and deliveries, as JSON."""
    CLOUDEVENTS = "cloudevents"
    """A JSON array of CloudEvents 1.0 a batch (`application/cloudevents-batch+json`)."""


class ExportBatch(NamedTuple):
    """A part of an export.

    Attributes:
        data: UTF-8; JSON Lines end with a line break.
        events: How many are in it.
        cursor: Given as `cursor` of the same filter, resumes behind this batch.
    """

    data: bytes
    events: int
    cursor: str


class Chronicle:
    """Walks through the history.

    Args:
        history: The queries.
        read_records: Reads the records of events whose ids and envelopes are known.
        delayed_of: Returns the ids of the delayed events of a chain, so many at most.
    """

    def __init__(
        self, history: History, read_records: ReadRecords, delayed_of: Callable[[str, int], list[str]]
    ) -> None:
        self._history = history
        self._read_records = read_records
        self._delayed_of = delayed_of

    def trace(self, an_id: str, *, most: int = USUAL_TRACE) -> Trace:
        """Return what led to what in a chain.

        Args:
            an_id: A correlation id, or the id of any event of the chain.
            most: Most events that are read.

        Raises:
            NotFoundError: If there is neither such a chain nor such an event.
        """
        known = self._read_records([(an_id, None)])
        chain = known[0].correlation_id if known else an_id
        found: list[tuple[str, bytes | None]] = []
        is_complete = True
        for cursor_and_events in self._walk(EventFilter(correlation_id=chain, order="oldest")):
            found += cursor_and_events[1]
            if len(found) > most:
                found, is_complete = found[:most], False
                break
        room = most - len(found)
        waiting = self._delayed_of(chain, room + 1) if is_complete else []
        is_complete = is_complete and len(waiting) <= room
        unfired = self._read_records([(event_id, None) for event_id in waiting[:room]])
        delayed = [one for one in unfired if one.delay_until is not None and not one.deliveries]
        stored = self._read_records(found)
        ids = {one.id for one in stored}
        events = [*stored, *(one for one in delayed if one.id not in ids)]
        if not events:
            events = known
        if not events:
            raise NotFoundError(
                f"neither a chain nor an event {an_id!r} is recorded, or its history is over: eventsys events ls shows"
                " what there is"
            )
        waits = frozenset(one.id for one in events if one.id not in ids and not one.status.is_final)
        return build_trace(chain, events, delayed=waits, is_complete=is_complete)

    def export(self, wanted: EventFilter, form: ExportForm = ExportForm.JSON_LINES) -> Iterator[ExportBatch]:
        """Give all events that fit, in batches, each with the cursor that resumes behind it.

        While events arrive, none is left out or given twice; with the order `oldest` those that arrive are given too,
        and the last cursor leads on to what comes later. No more than a batch is held in memory.

        Args:
            wanted: Which events, in which order, behind which cursor; its page and page size do not count.
            form: How they are written.

        Raises:
            InvalidCursorError: If the cursor is none of such a query.
        """
        for cursor, events in self._walk(wanted):
            records = self._read_records(events)
            if records:
                yield ExportBatch(_written(records, form), len(records), cursor)

    def _walk(self, wanted: EventFilter) -> Iterator[tuple[str, list[tuple[str, bytes | None]]]]:
        """Give ids and envelopes of all events that fit, with the cursor behind each part."""
        index, judge = self._history.plan(wanted, wanted.cursor)
        cursor, size = wanted.cursor, _FIRST_READ
        while True:
            chunk = index.chunk(cursor, size)
            fitting = judge.fitting(headers_of(chunk.found))
            last = chunk.cursor or (chunk.found[-1].cursor if chunk.found else cursor)
            if fitting and last is not None:
                yield last, [(header.id, logged.envelope) for logged, header in fitting]
            if chunk.cursor is None:
                return
            cursor, size = chunk.cursor, next_size(size, chunk.found)


def waiting_of_chain(link: Link, keys: Keys, chain: str, most: int) -> list[str]:
    """Return the ids of the events of a chain that wait for their time, as far as they still do; so many at most."""
    found: set[str] = set()
    cursor: Any = 0
    while len(found) < most:
        cursor, members = link.call("SSCAN", keys.delayed_chain(chain), cursor, "COUNT", min(most, _CHUNK))
        found.update(map(text_of, members))
        if cursor == b"0":
            break
    return sorted(found)[:most]


def _written(records: list[EventRecord[Any]], form: ExportForm) -> bytes:
    if form is ExportForm.CLOUDEVENTS:
        return to_json([to_cloudevent(record) for record in records]) + b"\n"
    return b"".join(record.model_dump_json().encode() + b"\n" for record in records)
