"""Choosing the index that a query of the history is answered from."""

from __future__ import annotations

from typing import NamedTuple

from eventsys.clock import first_ms, last_ms
from eventsys.model.patterns import pattern_matches
from eventsys.model.priority import LANES
from eventsys.model.queries import EventFilter
from eventsys.model.status import EventStatus
from eventsys.store.chain_index import ChainIndex
from eventsys.store.id_index import IdIndex
from eventsys.store.index import Index
from eventsys.store.judging import Judge
from eventsys.store.keys import CLASSES, Keys
from eventsys.store.link import Link
from eventsys.store.log_index import LogIndex, Stream
from eventsys.store.oddities import reading, text_of
from eventsys.store.places import OLDEST, Place
from eventsys.store.status_index import StatusIndex, is_cursor_of_status
from eventsys.store.two_part_index import TwoPartIndex

#: So many events of a status are judged at once, sooner than a smaller index could be found.
_FEW = 100

_Begins = dict[str, Place]


class Plan(NamedTuple):
    """How a query is answered.

    Attributes:
        lookup: The index that leads to the wanted events: all of them are in it, in the order asked for.
        judge: The conditions that it leaves open.
    """

    lookup: Index
    judge: Judge


class Planner:
    """Finds the index in which the least has to be judged.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def plan(self, wanted: EventFilter, cursor: str | None) -> Plan:
        """Return how the events behind a cursor are found.

        Which index is the smallest changes while a walk goes on, so the cursor tells which one it was.

        Args:
            wanted: The query; its own cursor does not count.
            cursor: Where to go on; None: at the beginning.
        """
        if wanted.status in {None, EventStatus.DELIVERED}:
            return self._plan_without_status(wanted)
        two_parts = self._two_parts(wanted, cursor)
        judge = Judge(
            self._link, self._keys, wanted, types=wanted.types, correlation_id=wanted.correlation_id,
            status=None if two_parts is None else wanted.status,
        )  # fmt: skip
        return Plan(self._by_status(wanted) if two_parts is None else two_parts, judge)

    def _plan_without_status(self, wanted: EventFilter) -> Plan:
        index = self._by_content(wanted, self._begins(), _first_ms(wanted) or 0)
        has_all_types = isinstance(index, (IdIndex, ChainIndex))
        judge = Judge(
            self._link, self._keys, wanted, types=wanted.types if has_all_types else (), status=wanted.status,
            correlation_id=wanted.correlation_id if isinstance(index, IdIndex) else None,
        )  # fmt: skip
        return Plan(index, judge)

    def _two_parts(self, wanted: EventFilter, cursor: str | None) -> TwoPartIndex | None:
        """Return an index that has less to judge than that of the status, if there is one with all events that fit.

        Of what was trimmed from the log only the index of the status tells, so the older part is read there. What was
        cancelled may never have been in the log.
        """
        if wanted.ids or wanted.status is EventStatus.CANCELLED:
            return None
        if (not wanted.types and wanted.correlation_id is None) or (cursor is not None and is_cursor_of_status(cursor)):
            return None
        of_status = self._by_status(wanted).count() if cursor is None else 0
        if cursor is None and of_status <= _FEW:
            return None
        begins = self._begins()
        split_ms = max(begins.values()).ms
        two_parts = TwoPartIndex(
            self._by_status(wanted, until_ms=split_ms),
            self._by_content(wanted, begins, max(_first_ms(wanted) or 0, split_ms + 1)),
            split_ms,
            newest_first=wanted.order == "newest",
        )
        return two_parts if cursor is not None or two_parts.count() < of_status else None

    def _by_status(self, wanted: EventFilter, *, until_ms: int | None = None) -> StatusIndex:
        assert wanted.status is not None
        latest = _last_ms(wanted)
        if until_ms is not None:
            latest = until_ms if latest is None else min(latest, until_ms)
        return StatusIndex(
            self._link, self._keys, wanted.status, ids=wanted.ids,
            first_ms=_first_ms(wanted), last_ms=latest, newest_first=wanted.order == "newest",
        )  # fmt: skip

    def _by_content(self, wanted: EventFilter, begins: _Begins, earliest_ms: int) -> Index:
        """Return the smallest index that does not know of status."""
        latest, newest_first = _last_ms(wanted), wanted.order == "newest"
        if wanted.ids:
            return IdIndex(
                self._link, self._keys, wanted.ids, first_ms=earliest_ms, last_ms=latest, newest_first=newest_first
            )
        if wanted.correlation_id is not None:
            return ChainIndex(
                self._link, self._keys, wanted.correlation_id,
                begins=begins[""], first_ms=earliest_ms, last_ms=latest, newest_first=newest_first,
            )  # fmt: skip
        if wanted.types:
            streams = [_stream_of(event_type, begins) for event_type in self._types_of(wanted)]
        else:
            streams = [Stream(f"log:{home}", begins.get(home, begins[""]), home) for home in _homes()]
        return LogIndex(
            self._link, self._keys, streams, first_ms=earliest_ms, last_ms=latest, newest_first=newest_first
        )

    def _begins(self) -> _Begins:
        """Return where the history begins, by class; "" for what is in no class."""
        fields = ("begins", *(f"begins:{one}" for one in CLASSES))
        places = self._link.call("HMGET", self._keys.history, *fields)
        with reading(self._keys.history):
            return {
                home: OLDEST if place is None else Place.of(place.decode())
                for home, place in zip(("", *CLASSES), places, strict=True)
            }

    def _types_of(self, wanted: EventFilter) -> list[str]:
        """Return the types of the history that fit; those given without a wildcard need not be there."""
        exact = [pattern for pattern in wanted.types if not has_wildcard(pattern)]
        wildcards = [pattern for pattern in wanted.types if has_wildcard(pattern)]
        known = [text_of(one) for one in self._link.call("HKEYS", self._keys.types)] if wildcards else []
        fitting = [one for one in known if any(pattern_matches(pattern, one) for pattern in wildcards)]
        return list(dict.fromkeys([*exact, *fitting]))


def has_wildcard(pattern: str) -> bool:
    """Say whether a pattern may match more than one type."""
    return "*" in pattern or "#" in pattern


def _stream_of(event_type: str, begins: _Begins) -> Stream:
    service = event_type.partition(".")[0]
    is_of_class = service in CLASSES and "." in event_type
    return Stream(f"type:{event_type}", begins[service if is_of_class else ""])


def _homes() -> tuple[str, ...]:
    return (*(str(lane) for lane in LANES), *CLASSES)


def _first_ms(wanted: EventFilter) -> int | None:
    if wanted.start_time is None:
        return None
    # The first whole millisecond from there on; nothing was stored before 1970, and Redis knows no such entries.
    return max(0, first_ms(wanted.start_time))


def _last_ms(wanted: EventFilter) -> int | None:
    return None if wanted.end_time is None else max(0, last_ms(wanted.end_time))
