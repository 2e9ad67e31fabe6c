"""Reading what the scripts have counted."""

from __future__ import annotations

import contextlib
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, NamedTuple

from eventsys.errors import RedisUnavailableError
from eventsys.model.histogram import Histogram
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.measure_journal import fold
from eventsys.store.minutes import MINUTES, MinuteReader
from eventsys.store.oddities import numbers_of, text_of, texts_of

#: What is counted together because there was no room for it.
OTHER = "*"

#: Keys read in one round trip: each is small, and others want Redis too.
_AT_ONCE = 500

_MS, _US = timedelta(milliseconds=1), timedelta(microseconds=1)

#: Where waits and durations begin in a string of times, and where they end; `lua/fold_measures.lua` writes them.
_WAITS, _DURATIONS, _END = 2, 30, 66

#: What no sum of milliseconds comes to; more cannot be told as a duration.
_MOST = 2**53

Counts = Mapping[str, int]


@dataclass(frozen=True)
class Pair:
    """What was counted of the deliveries of one type to one subscription.

    Attributes:
        event_type: The type, `*` for others.
        subscription: Its name, `*` for others.
        counts: `opened`, `succeeded`, `failed`, `dead`, `expired`, `cancelled`, `redriven`.
        waits: From when the event was stored until the first attempt began.
        durations: Of attempts.
    """

    event_type: str
    subscription: str
    counts: Counts
    waits: Histogram
    durations: Histogram

    @property
    def backlog(self) -> int:
        """How many have not ended."""
        return backlog_of(self.counts)

    def __add__(self, other: Pair) -> Pair:
        """Return what was counted of both, which have the same names."""
        names = {**self.counts, **other.counts}
        counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names}
        return replace(self, counts=counts, waits=self.waits + other.waits, durations=self.durations + other.durations)


class _Heads(NamedTuple):
    """What is read first: the totals, and what else there are counters of."""

    totals: Counts
    types: list[str]
    pairs: list[str]
    names: Mapping[str, str]
    lateness: bytes


class Measurements:
    """Reads the counters of a bus, each once; they were added up by the scripts of all its processes.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        now_ms: The time of this reading.
        minutes: What earlier readings know of the minutes; None: nothing.
    """

    def __init__(self, link: Link, keys: Keys, now_ms: int, minutes: MinuteReader | None = None) -> None:
        self._link = link
        self._keys = keys
        self._now_ms = now_ms
        self._reader = minutes or MinuteReader()
        self._minutes: list[Counts] = []
        self._is_settled = False

    @property
    def totals(self) -> Counts:
        """The totals of the bus."""
        return self._heads.totals

    @property
    def names(self) -> Mapping[str, str]:
        """The name behind every number of a subscription."""
        return self._heads.names

    @property
    def lateness(self) -> Histogram:
        """How late the poller let entries of the delayed store go."""
        return _waits(_numbers(self._heads.lateness))

    @cached_property
    def types(self) -> dict[str, Counts]:
        """What was counted of events, by their type."""
        names = self._heads.types
        flats = self._read([("HGETALL", self._keys.type_metrics(name)) for name in names])
        return {name: numbers_of(self._keys.type_metrics(name), flat) for name, flat in zip(names, flats, strict=True)}

    @cached_property
    def pairs(self) -> list[Pair]:
        """What was counted of deliveries, by type and subscription: each once.

        A name may have several numbers, where another subscription was renamed to it after one of that name had ended.
        """
        names, pairs, keys = {"0": OTHER, **self._heads.names}, self._heads.pairs, self._keys
        commands = [(("HGETALL", keys.delivery_metrics(pair)), ("GET", keys.delivery_times(pair))) for pair in pairs]
        replies = self._read([command for both in commands for command in both])
        found: dict[tuple[str, str], Pair] = {}
        for pair, flat, stored in zip(pairs, replies[::2], replies[1::2], strict=True):
            one = _pair(pair, names, numbers_of(keys.delivery_metrics(pair), flat), stored or b"")
            same = found.get((one.event_type, one.subscription))
            found[one.event_type, one.subscription] = one if same is None else same + one
        return list(found.values())

    def counts_of(self, subscription: str) -> list[Counts]:
        """Return what was counted of the deliveries to one subscription, type by type; of others nothing is read.

        Args:
            subscription: Its present name; what was counted under its former ones is among it.
        """
        self._settle()
        keys = self._keys
        pairs, named = self._link.read([("SMEMBERS", keys.measured_deliveries), ("HGETALL", keys.subscription_names)])
        numbers = {number for number, name in texts_of(named).items() if name == subscription}
        own = [pair for pair in _sorted(pairs) if pair.rpartition(":")[2] in numbers]
        flats = self._read([("HGETALL", keys.delivery_metrics(pair)) for pair in own])
        return [numbers_of(keys.delivery_metrics(pair), flat) for pair, flat in zip(own, flats, strict=True)]

    def minutes(self, back: int = MINUTES) -> list[Counts]:
        """Return what happened in each minute, this one first, then as many before it."""
        self._settle()
        missing = range(len(self._minutes), back + 1)
        self._minutes += self._reader.read(self._link, self._keys, self._now_ms // 60_000, missing)
        return self._minutes[: back + 1]

    @cached_property
    def _heads(self) -> _Heads:
        self._settle()
        keys = self._keys
        totals, types, pairs, names, lateness = self._link.read(
            [
                ("HGETALL", keys.counts), ("SMEMBERS", keys.measured_types), ("SMEMBERS", keys.measured_deliveries),
                ("HGETALL", keys.subscription_names), ("GET", keys.lateness),
            ]
        )  # fmt: skip
        return _Heads(numbers_of(keys.counts, totals), _sorted(types), _sorted(pairs), texts_of(names), lateness or b"")

    def _settle(self) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        # A replica takes no writes, and still tells what was folded before. If Redis is away, reading will say so.
        with contextlib.suppress(RedisUnavailableError):
            fold(self._link.run, self._link.call, self._keys)

    def _read(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        replies: list[Any] = []
        for start in range(0, len(commands), _AT_ONCE):
            replies += self._link.read(commands[start : start + _AT_ONCE])
        return replies


def backlog_of(counts: Counts) -> int:
    """Return how many of the deliveries that were counted have not ended."""
    opened = counts.get("opened", 0) + counts.get("redriven", 0)
    return opened - sum(counts.get(name, 0) for name in ("succeeded", "dead", "expired", "cancelled"))


def pending_of_application(stored: int, totals: Counts) -> int:
    """Return how many of the stored events that have not ended are the application's."""
    return max(0, stored - totals.get("system_events", 0) + totals.get("system_ended_events", 0))


def rate(minutes: Sequence[float], now_ms: int, span: int) -> float:
    """Return how often a second something happened in the last `span` minutes.

    Args:
        minutes: How often in this minute, and in each before it.
        now_ms: The time. Of the oldest minute, as much counts as of this one is still to come.
        span: From 1 to 60.
    """
    begun = now_ms % 60_000 / 60_000
    happened = sum(minutes[:span]) + minutes[span] * (1 - begun)
    return happened / (span * 60)


def _pair(pair: str, names: Mapping[str, str], counts: Counts, stored: bytes) -> Pair:
    event_type, _, number = pair.rpartition(":")
    numbers = _numbers(stored)
    durations = {at - _DURATIONS: numbers[at] for at in range(_DURATIONS, _END) if numbers[at]}
    return Pair(
        event_type=event_type,
        subscription=names.get(number, f"subscription {number}"),
        counts=counts,
        waits=_waits(numbers),
        durations=Histogram(_US, durations, numbers[1], _END - _DURATIONS - 1),
    )


def _waits(numbers: Mapping[int, int]) -> Histogram:
    counts = {at - _WAITS: numbers[at] for at in range(_WAITS, _DURATIONS) if numbers[at]}
    return Histogram(_MS, counts, numbers[0], _DURATIONS - _WAITS - 1)


def _numbers(stored: bytes) -> Mapping[int, int]:
    """Return the numbers of a string by their place; those beyond its end are 0."""
    whole = len(stored) // 8
    found = struct.unpack(f">{whole}q", stored[: 8 * whole])
    return defaultdict(int, ((at, one) for at, one in enumerate(found) if 0 <= one < _MOST))


def _sorted(members: Sequence[bytes]) -> list[str]:
    return sorted(map(text_of, members))
