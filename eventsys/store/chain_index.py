"""Reading the events of one chain: those that share a correlation id."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import suppress
from typing import overload

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


class _PlaceList(Sequence[Place]):
    """The places of a chain, read from Redis as they are looked at."""

    def __init__(self, link: Link, key: str, alone: Place | None) -> None:
        self._link = link
        self._key = key
        self._blocks: dict[int, list[Place]] = {}
        self._length = int(link.call("STRLEN", key)) // PLACE_BYTES
        if self._length == 0 and alone is not None:
            self._length, self._blocks = 1, {0: [alone]}

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
            first = number * _BLOCK * PLACE_BYTES
            packed = self._link.call("GETRANGE", self._key, first, first + _BLOCK * PLACE_BYTES - 1)
            whole = len(packed) - len(packed) % PLACE_BYTES
            places = [Place.unpacked(packed[at : at + PLACE_BYTES]) for at in range(0, whole, PLACE_BYTES)]
            # The list grows at its end, and is cut at its beginning when events leave the history: since its length was
            # asked for, places may have moved up. Behind them nothing is found, and nothing is wrong.
            missing = min(_BLOCK, self._length - number * _BLOCK) - len(places)
            self._blocks[number] = places + [NEWEST] * missing
        return self._blocks[number]


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
        self._newest_first = newest_first
        self._places = _PlaceList(link, keys.chain(correlation_id), self._lone_place(correlation_id))
        self._low = bisect_left(self._places, max(begins, Place(first_ms, 0)))
        self._high = len(self._places)
        if last_ms is not None:
            self._high = bisect_left(self._places, Place(last_ms + 1, 0))

    def count(self) -> int:
        """Return how many events of the chain lie between the times asked for."""
        return max(0, self._high - self._low)

    def cursor_at(self, offset: int) -> str | None:
        """Return the cursor of the event up to which `offset` are left out."""
        if offset <= 0 or not self.count():
            return None
        if offset > self.count():
            return (OLDEST if self._newest_first else NEWEST).entry
        return self._places[self._high - offset if self._newest_first else self._low + offset - 1].entry

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return events behind a cursor."""
        low, high = self._low, self._high
        if after is not None:
            place = place_of_cursor(after)
            if self._newest_first:
                high = min(high, bisect_left(self._places, place))
            else:
                low = max(low, bisect_right(self._places, place._replace(home="~")))
        if self._newest_first:
            low = max(low, high - size)
            places = list(reversed(self._places[low:high]))
        else:
            high = min(high, low + size)
            places = list(self._places[low:high])
        if not places:
            return Chunk([], None)
        replies = self._link.pipeline([place.command(self._keys) for place in places])
        found = [
            Logged(one.entry, None, envelope_in(reply), one.log) for one, reply in zip(places, replies, strict=True)
        ]
        return Chunk(found, places[-1].entry if len(places) == size else None)

    def _lone_place(self, correlation_id: str) -> Place | None:
        """Return the place of the event that the chain is named after, if it is of that chain."""
        log = self._link.call("HGET", self._keys.record(correlation_id), "log")
        [place] = places_of_logs([log])
        if place is None:
            return None
        envelope = envelope_in(self._link.call(*place.command(self._keys)))
        with suppress(InvalidEventError):
            return place if envelope and decode_header(envelope).chain_id == correlation_id else None
        return None
