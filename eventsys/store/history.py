"""Finding events in the history."""

from __future__ import annotations

from typing import NamedTuple

from eventsys.clock import Clock
from eventsys.errors import InvalidEventError
from eventsys.model.envelope import EventHeader, decode_header
from eventsys.model.queries import EventFilter
from eventsys.store.index import Index
from eventsys.store.judging import Judge
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of
from eventsys.store.places import Logged
from eventsys.store.planning import Planner

#: Most events one query judges, and milliseconds after which it judges no more; its cursor leads on.
MOST_SCANNED, LONGEST_SCAN_MS = 10_000, 15

#: Bytes of envelopes that one command is to return at most, so that large events do not block Redis.
_MOST_BYTES = 500_000

#: Most events read in one round trip; of those that are judged for a page, whose time is short; and of the first ones,
#: which tell how large such events are.
_MOST_READ, _MOST_JUDGED, _FIRST_READ = 250, 100, 25


class Found(NamedTuple):
    """What a query found.

    Attributes:
        events: Ids and envelopes of the page.
        total: How many events fit, on all pages.
        total_is_exact: Whether it is that, and not the least there are.
        next_cursor: Where to go on; None at the end.
    """

    events: list[tuple[str, bytes]]
    total: int
    total_is_exact: bool
    next_cursor: str | None


class History:
    """Queries of the history.

    Time, type, correlation id, and status other than delivered are looked up, whatever page is asked for. The rest is
    judged event by event, in the smallest index, for as long as a query may take.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: Tells how long a query takes.

    Attributes:
        plan: See `Planner.plan`.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self.plan = Planner(link, keys).plan

    def find(self, wanted: EventFilter) -> Found:
        """Return the wanted page.

        Raises:
            InvalidCursorError: If the cursor is none of such a query.
        """
        index, judge = self.plan(wanted, wanted.cursor)
        offset = 0 if wanted.cursor is not None else (wanted.page - 1) * wanted.page_size
        if judge.accepts_all:
            return self._look_up(index, wanted, offset)
        return self._scan(index, judge, wanted, offset)

    def not_had(
        self, found: list[tuple[Logged, EventHeader]], number: int, *, only_new: bool
    ) -> list[tuple[Logged, EventHeader]]:
        """Return those events that a replay to a subscription would give: dispatched, and still recorded.

        Args:
            found: The events.
            number: The subscription's.
            only_new: Whether those that it had are left out.
        """
        if not found:
            return []
        dispatched = [
            (None, None) if isinstance(reply, Exception) else reply
            for reply in self._link.pipeline(
                [("HMGET", self._keys.record(header.id), "log", "open") for _, header in found]
            )
        ]
        fields = self._link.pipeline([("HKEYS", self._keys.record(header.id)) for _, header in found])
        own = str(number).encode()
        return [
            one
            for one, (log, opened), names in zip(found, dispatched, fields, strict=True)
            if log is not None and text_of(log) == one[0].log and opened is not None
            if not only_new or all(name.partition(b"#")[0] != own for name in names)
        ]

    def _look_up(self, index: Index, wanted: EventFilter, offset: int) -> Found:
        total = index.count()
        cursor = wanted.cursor if wanted.cursor is not None else index.cursor_at(offset)
        found: list[tuple[Logged, EventHeader]] = []
        size = _FIRST_READ
        while len(found) <= wanted.page_size:
            chunk = index.chunk(cursor, min(size, wanted.page_size + 1 - len(found)))
            found += headers_of(chunk.found)
            cursor, size = chunk.cursor, next_size(size, chunk.found)
            if cursor is None:
                break
        return _page(found, wanted, total, is_exact=True, scanned_to=None)

    def _scan(self, index: Index, judge: Judge, wanted: EventFilter, offset: int) -> Found:
        deadline = self._clock.monotonic() + LONGEST_SCAN_MS / 1000
        cursor, scanned, size = wanted.cursor, 0, _FIRST_READ
        fitting: list[tuple[Logged, EventHeader]] = []
        while scanned < MOST_SCANNED and (not scanned or self._clock.monotonic() < deadline):
            chunk = index.chunk(cursor, min(size, MOST_SCANNED - scanned))
            fitting += judge.fitting(headers_of(chunk.found))
            cursor, scanned = chunk.cursor, scanned + max(1, len(chunk.found))
            if cursor is None or (wanted.cursor is not None and len(fitting) > wanted.page_size):
                break
            size = min(_MOST_JUDGED, next_size(size, chunk.found))
        # Behind a cursor the pages before it were not looked at, so what is found there is not all there is.
        is_exact = cursor is None and wanted.cursor is None
        return _page(fitting[offset:], wanted, len(fitting), is_exact=is_exact, scanned_to=cursor)


def next_size(size: int, found: list[Logged]) -> int:
    """Return how many events to read next, by the size of those read last."""
    if not found:
        return size
    average = sum(len(one.envelope or b"") for one in found) / len(found)
    return max(1, min(_MOST_READ, int(_MOST_BYTES / max(1.0, average))))


def headers_of(found: list[Logged]) -> list[tuple[Logged, EventHeader]]:
    """Return the events that can be read, with their headers."""
    readable = []
    for one in found:
        if one.envelope is None:
            continue
        try:
            readable.append((one, decode_header(one.envelope)))
        except InvalidEventError:
            continue  # a dead letter tells of it; history goes on without
    return readable


def _page(
    found: list[tuple[Logged, EventHeader]],
    wanted: EventFilter,
    total: int,
    *,
    is_exact: bool,
    scanned_to: str | None,
) -> Found:
    page = found[: wanted.page_size]
    has_more = len(found) > wanted.page_size
    return Found(
        [(header.id, one.envelope or b"") for one, header in page],
        total,
        is_exact,
        page[-1][0].cursor if has_more else scanned_to,
    )
