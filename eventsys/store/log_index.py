"""Reading several streams of the history as one: the lanes of the log, or the indexes of types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eventsys.store.index import Chunk
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import reading, text_of
from eventsys.store.places import HIGHEST, NEWEST, OLDEST, Logged, Place, envelope_in, place_of_cursor
from eventsys.store.scripts import script

#: Places whose counts are asked for in one round trip.
_PROBES = 12

#: Most ranges that one script counts, of all streams together: at some 4 µs each it blocks Redis for 2 ms.
_MOST_RANGES = 500


class Stream(NamedTuple):
    """One stream of the history.

    Attributes:
        name: Its key, below the prefix of the bus.
        begins: Its first entry that counts; what is left before it is on its way out.
        home: The log it is; empty for the index of a type.
    """

    name: str
    begins: Place
    home: str = ""


class LogIndex:
    """Streams in the order of their entries' names, which no two entries of a bus share.

    New entries have higher names than all before, so a cursor loses and repeats nothing while events arrive. Streams
    are read one after the other: what is newer than the beginning of that is left to the next time, when all have it.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        streams: What is read.
        first_ms: The earliest time, included.
        last_ms: The latest time, included; None: no end.
        newest_first: The order.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        streams: Sequence[Stream],
        *,
        first_ms: int = 0,
        last_ms: int | None = None,
        newest_first: bool = True,
    ) -> None:
        self._link = link
        self._keys = keys
        self._streams = list(streams)
        self._first = Place(first_ms, 0)
        self._last = None if last_ms is None else Place(last_ms, HIGHEST)
        self._newest_first = newest_first

    def count(self) -> int:
        """Return how many entries lie between the times asked for."""
        return self._count_between([(self._first, self._last)])[0]

    def cursor_at(self, offset: int) -> str | None:
        """Return the name of the entry behind which `offset` are left out, found by dividing the time.

        Counting looks at two entries a stream, so any page of a million is found in some ten round trips. Of what
        arrives meanwhile none is counted; each of the oldest that goes meanwhile may move a page of the oldest by one.
        """
        ends = self._ends() if offset > 0 else None
        if ends is None:
            return None
        oldest, newest = ends
        if self._newest_first:
            # The offset is counted from here for good, or the place would move on between two looks at it.
            self._last = newest
        if self.count() < offset:
            return NEWEST.entry if not self._newest_first else OLDEST.entry
        ms = self._nearest(oldest.ms, newest.ms, lambda ms: Place(ms, 0 if self._newest_first else HIGHEST), offset)
        most = 1
        while most < HIGHEST and self._reach([Place(ms, most)], offset)[0] is self._newest_first:
            most = min(most * 256, HIGHEST)
        return Place(ms, self._nearest(0, most, lambda number: Place(ms, number), offset)).entry

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return events behind a cursor, as far as every stream was read."""
        cursor = None if after is None else place_of_cursor(after)
        if cursor is not None and self._is_past(cursor):
            return Chunk([], None)
        commands = [self._command(stream, cursor, size) for stream in self._streams]
        newest, *replies = self._link.read([("GET", self._keys.clock), *commands])
        entries: list[tuple[Place, list[bytes]]] = []
        read_to: list[Place] = []
        for stream, reply in zip(self._streams, replies, strict=True):
            places = [(Place.of(entry.decode(), stream.home), fields) for entry, fields in reply]
            entries += places
            if len(places) == size:
                read_to.append(places[-1][0])
        whole_to = OLDEST
        if newest is not None and not self._newest_first:
            with reading(self._keys.clock):
                whole_to = Place.of(newest.decode())
        if whole_to > (cursor or OLDEST) and any(place[:2] > whole_to[:2] for place, _ in entries):
            read_to.append(whole_to)
        entries.sort(key=lambda one: one[0], reverse=self._newest_first)
        end: Place | None = None
        if read_to:
            # Compared without their logs: the dispatcher's entry of a system event has the name of its place elsewhere.
            end = max(read_to) if self._newest_first else min(read_to)
            entries = [
                one for one in entries if (one[0][:2] >= end[:2] if self._newest_first else one[0][:2] <= end[:2])
            ]
        return Chunk(self._logged(entries), None if end is None else end.entry)

    def _logged(self, entries: list[tuple[Place, list[bytes]]]) -> list[Logged]:
        """Return the events of entries; one without a number stands there for the dispatcher only."""
        listed = [(place, fields) for place, fields in entries if len(fields) >= 4 and fields[2] == b"n"]
        if not listed:
            return []
        if self._streams[0].home:
            return [Logged(place.entry, None, fields[1], place.log) for place, fields in listed]
        homes = [place._replace(home=text_of(fields[1])) for place, fields in listed]
        replies = self._link.pipeline([place.command(self._keys) for place in homes])
        return [Logged(one.entry, None, envelope_in(reply), one.log) for one, reply in zip(homes, replies, strict=True)]

    def _command(self, stream: Stream, cursor: Place | None, size: int) -> tuple[Any, ...]:
        oldest = max(self._first, stream.begins).entry
        newest = "+" if self._last is None else self._last.entry
        key = f"{self._keys.prefix}:{stream.name}"
        if self._newest_first:
            if cursor is not None and (self._last is None or cursor <= self._last):
                newest = f"({cursor.entry}"
            return ("XREVRANGE", key, newest, oldest, "COUNT", size)
        oldest = oldest if cursor is None or cursor < max(self._first, stream.begins) else f"({cursor.entry}"
        return ("XRANGE", key, oldest, newest, "COUNT", size)

    def _is_past(self, cursor: Place) -> bool:
        """Say whether nothing asked for lies behind a cursor."""
        if self._newest_first:
            return cursor <= self._first
        return self._last is not None and cursor >= self._last

    def _nearest(self, low: int, high: int, place_of: Callable[[int], Place], offset: int) -> int:
        """Return the number nearest to the beginning whose place has `offset` entries up to it; one of them has."""
        while low < high:
            step = -(-(high - low) // _PROBES)
            probes = list(range(low, high, step)) if not self._newest_first else list(range(high, low, -step))
            reach = self._reach([place_of(probe) for probe in probes], offset)
            first = reach.index(True) if True in reach else len(probes)
            if not self._newest_first:
                high = probes[first] if first < len(probes) else high
                low = probes[first - 1] + 1 if first else high
            else:
                low = probes[first] if first < len(probes) else low
                high = probes[first - 1] - 1 if first else low
        return low

    def _reach(self, places: Sequence[Place], offset: int) -> list[bool]:
        """Say for each place whether at least `offset` entries lie from the beginning to it, itself included."""
        if self._newest_first:
            counts = self._count_between([(max(place, self._first), self._last) for place in places])
        else:
            last = self._last or NEWEST
            counts = self._count_between([(self._first, min(place, last)) for place in places])
        return [count >= offset for count in counts]

    def _ends(self) -> tuple[Place, Place] | None:
        """Return the places of the oldest and the newest entry; None when there is none."""
        outer = [command for stream in self._streams for command in self._outermost(stream)]
        found = [Place.of(reply[0][0].decode()) for reply in self._link.read(outer) if reply]
        return (min(found), max(found)) if found else None

    def _outermost(self, stream: Stream) -> list[tuple[Any, ...]]:
        command = self._command(stream, None, 1)
        turned = "XRANGE" if self._newest_first else "XREVRANGE"
        return [command, (turned, command[1], command[3], command[2], *command[4:])]

    def _count_between(self, ranges: Sequence[tuple[Place, Place | None]]) -> list[int]:
        """Return how many entries lie in each range, in one round trip unless there are very many streams."""
        if not self._streams:
            return [0] * len(ranges)
        arguments: list[str] = []
        for first, last in ranges:
            for stream in self._streams:
                arguments += (stream.name, max(first, stream.begins).entry, "+" if last is None else last.entry)
        counts: list[int] = []
        for at in range(0, len(arguments), 3 * _MOST_RANGES):
            part = arguments[at : at + 3 * _MOST_RANGES]
            counts += self._link.run(script("count_range"), self._keys.prefix, *part)
        each = len(self._streams)
        return [sum(counts[at : at + each]) for at in range(0, len(counts), each)]
