"""Reading the events of one chain: those that share a correlation id."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar, overload

from eventsys.errors import InvalidEventError
from eventsys.model.envelope import decode_header
from eventsys.store.index import Chunk
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.places import (
    NEWEST,
    OLDEST,
    PLACE_BYTES,
    Logged,
    Place,
    envelope_in,
    place_of_cursor,
    places_of_logs,
)

#: Places read at once: a list of so many is read whole, a longer one in such parts.
_BLOCK = 10_000

Found = TypeVar("Found")


class ChainIndex:
    """The events of a chain, in the order they were stored; a lone event is a chain of one.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        correlation_id: The chain.
        begins: Where the history begins.
        first_ms: The earliest time, included.
        last_ms: The latest time, included; None: no end.
        newest_first: The order.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        correlation_id: str,
        *,
        begins: Place,
        first_ms: int = 0,
        last_ms: int | None = None,
        newest_first: bool = True,
    ) -> None:
        self._link = link
        self._keys = keys
        self._correlation_id = correlation_id
        self._first = max(begins, Place(first_ms, 0))
        self._end = None if last_ms is None else Place(last_ms + 1, 0)
        self._newest_first = newest_first
        self._span: _Span | None = None

    def count(self) -> int:
        """Return how many events of the chain lie between the times asked for."""
        return self._look(lambda span: span.size)

    def cursor_at(self, offset: int) -> str | None:
        """Return the cursor of the event up to which `offset` are left out."""
        return None if offset <= 0 else self._look(lambda span: self._cursor_in(span, offset))

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return events behind a cursor."""
        behind = None if after is None else place_of_cursor(after)
        places = self._look(lambda span: self._places_in(span, behind, size))
        if not places:
            return Chunk([], None)
        replies = self._link.pipeline([place.command(self._keys) for place in places])
        found = [
            Logged(one.entry, None, envelope_in(reply), one.log) for one, reply in zip(places, replies, strict=True)
        ]
        return Chunk(found, places[-1].entry if len(places) == size else None)

    def _look(self, find: Callable[[_Span], Found]) -> Found:
        """Return what `find` finds in the chain, which is looked up anew when its list was cut since."""
        while True:
            try:
                if self._span is None:
                    self._span = self._looked_up()
                return find(self._span)
            except _CutError:
                self._span = None

    def _looked_up(self) -> _Span:
        places: Sequence[Place] = _PlaceList(self._link, self._keys.chain(self._correlation_id))
        if not places:
            places = self._lone_place()
        high = len(places) if self._end is None else bisect_left(places, self._end)
        return _Span(places, bisect_left(places, self._first), high)

    def _cursor_in(self, span: _Span, offset: int) -> str | None:
        if not span.size:
            return None
        if offset > span.size:
            return (OLDEST if self._newest_first else NEWEST).entry
        return span.places[span.high - offset if self._newest_first else span.low + offset - 1].entry

    def _places_in(self, span: _Span, behind: Place | None, size: int) -> list[Place]:
        places, low, high = span
        if self._newest_first:
            if behind is not None:
                high = min(high, bisect_left(places, behind))
            return list(reversed(places[max(low, high - size) : high]))
        if behind is not None:
            low = max(low, bisect_right(places, behind._replace(home="~")))
        return list(places[low : min(high, low + size)])

    def _lone_place(self) -> list[Place]:
        """Return the place of the event that the chain is named after, if it is of that chain."""
        log = self._link.call("HGET", self._keys.record(self._correlation_id), "log")
        [place] = places_of_logs([log])
        if place is None:
            return []
        envelope = envelope_in(self._link.call(*place.command(self._keys)))
        with suppress(InvalidEventError):
            return [place] if envelope and decode_header(envelope).chain_id == self._correlation_id else []
        return []


class _Span(NamedTuple):
    """The places of a chain, and the part of them that lies between the times asked for: from `low` up to `high`."""

    places: Sequence[Place]
    low: int
    high: int

    @property
    def size(self) -> int:
        return max(0, self.high - self.low)


class _CutError(Exception):
    """What was read of a list, and what is to be read of it now, do not belong together."""


class _PlaceList(Sequence[Place]):
    """The places of a chain, read from Redis as they are looked at.

    The list grows at its end. When events leave the history it is cut at its beginning, and all places move up; it has
    another first one then. A list that is read at once, as one is that single events of the system leave, is kept.

    Raises:
        _CutError: If it was cut between two reads.
    """

    def __init__(self, link: Link, key: str) -> None:
        self._link = link
        self._key = key
        packed, length, first = self._read(0)
        if packed[:PLACE_BYTES] != first:
            raise _CutError
        self._first = first
        self._blocks = {0: _unpacked(packed)}
        self._length = length // PLACE_BYTES if len(packed) == _BLOCK * PLACE_BYTES else len(self._blocks[0])

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> Place: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Place]: ...
    def __getitem__(self, at: int | slice) -> Place | Sequence[Place]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(self._length))]
        return self._block(at // _BLOCK)[at % _BLOCK]

    def _block(self, number: int) -> list[Place]:
        if number not in self._blocks:
            packed, length, first = self._read(number)
            if first != self._first or length // PLACE_BYTES < self._length:
                raise _CutError
            self._blocks[number] = _unpacked(packed)
        return self._blocks[number]

    def _read(self, number: int) -> tuple[bytes, int, bytes]:
        """Return a block, the length of the list in bytes, and last its first place, which tells whether both fit."""
        begin, end = number * _BLOCK * PLACE_BYTES, (number + 1) * _BLOCK * PLACE_BYTES - 1
        packed, length, first = self._link.read(
            [
                ("GETRANGE", self._key, begin, end),
                ("STRLEN", self._key),
                ("GETRANGE", self._key, 0, PLACE_BYTES - 1),
            ]
        )
        return packed, int(length), first


def _unpacked(packed: bytes) -> list[Place]:
    whole = len(packed) - len(packed) % PLACE_BYTES
    return [Place.unpacked(packed[at : at + PLACE_BYTES]) for at in range(0, whole, PLACE_BYTES)]
