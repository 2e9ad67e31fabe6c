"""Counting and changing many delayed events at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from eventsys.model.queries import EventFilter
from eventsys.store.delayed_listing import list_delayed, matching_ids
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script

#: Most events let go by one script.
_FIRED_AT_ONCE = 100


class Count(NamedTuple):
    """How many there are; at least so many where `is_exact` is false."""

    total: int
    is_exact: bool


class DelayedMany:
    """Many delayed events together: those of a filter.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        cancel: Takes back the events of some ids, and returns how many.
    """

    def __init__(self, link: Link, keys: Keys, *, cancel: Callable[[Sequence[str], int], int]) -> None:
        self._link = link
        self._keys = keys
        self._cancel = cancel

    def count(self, wanted: EventFilter) -> Count:
        """Return how many events wait and fit; what has to be read to be judged is counted for a bounded time."""
        first = wanted.model_copy(update={"page": 1, "page_size": 1, "cursor": None})
        page = list_delayed(self._link, self._keys, first)
        return Count(page.total, page.total_is_exact)

    def count_all(self, wanted: EventFilter) -> int:
        """Return how many events wait and fit, however long that takes: those that `cancel` would take back now."""
        return sum(len(ids) for ids in matching_ids(self._link, self._keys, wanted))

    def per_period(self, edges_ms: Sequence[int]) -> list[int]:
        """Return how much is due between each two edges, the later one excluded: events, and deliveries tried again.

        Args:
            edges_ms: Moments, the earliest first.
        """
        tiers = (self._keys.delayed_due, self._keys.delayed_far_due)
        spans = list(pairwise(edges_ms))
        commands = [("ZCOUNT", tier, low, f"({high}") for low, high in spans for tier in tiers]
        counts = [int(one) for one in self._link.read(commands)] if commands else []
        return [near + far for near, far in zip(counts[::2], counts[1::2], strict=True)]

    def cancel(self, wanted: EventFilter, now_ms: int) -> int:
        """Take back every event that waits and fits, and return how many."""
        return sum(self._cancel(ids, now_ms) for ids in matching_ids(self._link, self._keys, wanted))

    def fire(self, wanted: EventFilter, now_ms: int) -> int:
        """Let every event go now that waits and fits, and return how many; what is scheduled meanwhile may be met."""
        fired = 0
        for ids in matching_ids(self._link, self._keys, wanted):
            for start in range(0, len(ids), _FIRED_AT_ONCE):
                some = ids[start : start + _FIRED_AT_ONCE]
                outcomes = self._link.run(script("fire_delayed"), self._keys.prefix, now_ms, *some)
                fired += sum(outcome[0] == b"fired now" for outcome in outcomes)
        return fired
