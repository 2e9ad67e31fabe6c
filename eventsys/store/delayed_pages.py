"""Finding a page of the delayed store by counting, however far down it is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from eventsys.store.delayed_entries import Position, positions
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import moment_of, numbers_of

#: Most messages among the events for which events are counted: where each stands is asked then, in two round trips.
MOST_MESSAGES = 10_000

#: Entries looked at in one round trip for those that are events.
_LOOKED_AT_ONCE = 500


def waiting_messages(link: Link, keys: Keys) -> Mapping[str, int]:
    """Return how many messages wait, by queue: deliveries tried again, those of plain actors, ticks of cron tasks."""
    return numbers_of(keys.delayed_queues, link.call("HGETALL", keys.delayed_queues))


def places_of_messages(link: Link, keys: Keys, count: int) -> list[Position] | None:
    """Return where the messages stand, the next one due first.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        count: How many wait.

    Returns:
        None where that is not known of all of them: there are too many, or some are changed at this moment.
    """
    if not 0 < count <= MOST_MESSAGES:
        return None if count else []
    members = link.call("SMEMBERS", keys.delayed_messages)
    if not members:
        return None
    tiers = link.read([("ZMSCORE", tier, *members) for tier in (keys.delayed_due, keys.delayed_far_due)])
    due = [near if near is not None else far for near, far in zip(*tiers, strict=True)]
    known = sorted(Position(moment_of(ms), one) for ms, one in zip(due, members, strict=True) if ms is not None)
    return known if len(known) >= count else None


def counted_page(
    link: Link,
    keys: Keys,
    messages: Sequence[Position],
    *,
    low_ms: int | None,
    high_ms: int | None,
    first: int,
    size: int,
) -> tuple[int, list[Position]]:
    """Return how many events there are within the bounds, and where those of a page stand.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        messages: Where the messages among them stand, the next one due first.
        low_ms: The first due time wanted; None: the earliest there is.
        high_ms: The last one.
        first: How many events come before the page.
        size: How many it has at most.
    """
    entries = _Numbered(link, keys, low_ms, high_ms)
    low, high = -math.inf if low_ms is None else low_ms, math.inf if high_ms is None else high_ms
    among = [one for one in messages if low <= one.due_ms <= high]
    total = max(0, entries.count - len(among))
    if first >= total:
        return total, []
    if not among:
        return total, entries.at(first, size)
    number = _behind_events(entries, among, first) if first else 0
    are_messages, at_once = set(among), max(size, _LOOKED_AT_ONCE)
    found: list[Position] = []
    is_last = False
    while len(found) < size and not is_last:
        some = entries.at(number, at_once)
        found += [one for one in some if one not in are_messages]
        number, is_last = number + len(some), len(some) < at_once
    return total, found[:size]


def _behind_events(entries: _Numbered, messages: Sequence[Position], events: int) -> int:
    """Return the number of the first entry that has so many events before it: it is so much, and as many messages."""
    low, high = events, events + len(messages)
    while low < high:
        middle = (low + high) // 2
        at = entries.at(middle, 1)
        before = bisect_left(messages, at[0]) if at else len(messages)
        if middle - before < events:
            low = middle + 1
        else:
            high = middle
    return low


class _Numbered:
    """The entries of both tiers within bounds, by their number in the order they are due.

    Attributes:
        count: How many there are.
    """

    def __init__(self, link: Link, keys: Keys, low_ms: int | None, high_ms: int | None) -> None:
        self._link, self._keys = link, keys
        self._bounds = (low_ms, high_ms)
        self._low, self._high = "-inf" if low_ms is None else low_ms, "+inf" if high_ms is None else high_ms
        near, far = keys.delayed_due, keys.delayed_far_due
        in_near, in_far, head = link.read(
            [
                ("ZCOUNT", near, self._low, self._high),
                ("ZCOUNT", far, self._low, self._high),
                ("ZRANGE", far, self._low, self._high, "BYSCORE", "LIMIT", 0, 1, "WITHSCORES"),
            ]
        )
        self.count = int(in_near) + int(in_far)
        # What is due before the far tier begins is the near tier's alone, and can be counted off.
        self._in_near = self._alone = int(in_near)
        if in_near and head:
            self._alone = int(link.call("ZCOUNT", near, self._low, f"({head[1].decode()}"))

    def at(self, first: int, size: int) -> list[Position]:
        """Return where so many entries stand, from a number on."""
        near, far = self._keys.delayed_due, self._keys.delayed_far_due
        if first >= self._in_near and self._alone == self._in_near:
            return self._by_number(far, first - self._in_near, size)
        if first + size <= self._alone or self.count == self._in_near:
            return self._by_number(near, first, size)
        skipped = min(first, self._alone)
        before = self._by_number(near, skipped - 1, 1) if skipped else []
        low_ms, high_ms = self._bounds
        merged = positions(self._link, self._keys, low_ms=low_ms, high_ms=high_ms, after=before[0] if before else None)
        return list(islice(merged, first - skipped, first - skipped + size))

    def _by_number(self, tier: str, first: int, size: int) -> list[Position]:
        if (self._low, self._high) == ("-inf", "+inf"):
            flat: Any = self._link.call("ZRANGE", tier, first, first + size - 1, "WITHSCORES")
        else:
            bounds = (self._low, self._high, "BYSCORE", "LIMIT", first, size)
            flat = self._link.call("ZRANGE", tier, *bounds, "WITHSCORES")
        return [Position(moment_of(due), member) for member, due in zip(flat[::2], flat[1::2], strict=True)]
