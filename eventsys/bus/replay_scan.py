"""Finding the events that a replay gives to its subscription."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eventsys.clock import from_ms
from eventsys.errors import InvalidEventError
from eventsys.model.envelope import EventHeader, header_fields
from eventsys.model.patterns import PatternIndex
from eventsys.model.queries import EventFilter
from eventsys.model.subscription import Subscription
from eventsys.store.history import History, headers_of, next_size
from eventsys.store.places import Logged, Place

#: Events read first; then as their size allows.
_FIRST_READ = 100


class Part(NamedTuple):
    """A part of the history.

    Attributes:
        fitting: What fits, the oldest first.
        cursor: Where the next part begins; None at the end.
        seen: The cursors of all that were looked at.
    """

    fitting: list[tuple[Logged, EventHeader]]
    cursor: str | None
    seen: list[str]


class ReplayScan:
    """The events of the history that fit a filter and are such as the subscription wants, from the oldest on.

    Args:
        history: The history.
        subscription: Whose pattern and filter count too.
        wanted: The filter; its page and order do not matter.
        until: The last entry of the log that may be looked at.
    """

    def __init__(self, history: History, subscription: Subscription, wanted: EventFilter, *, until: Place) -> None:
        self._until = until
        self._patterns = PatternIndex([(subscription.pattern, True)])
        self._where = subscription.payload_filter
        limits = {"order": "oldest", "page": 1, "cursor": None, "end_time": _earlier(wanted, until)}
        self._history = history
        self._narrowed = wanted.model_copy(update=limits | _narrower_types(wanted, subscription))

    def parts(self, cursor: str | None) -> Iterator[Part]:
        """Give the history behind a cursor, part by part; the last one has no cursor.

        Raises:
            PayloadEncryptedError: If the subscription's filter asks for a payload that no key of this process opens.
        """
        size = _FIRST_READ
        index, judge = self._history.plan(self._narrowed, cursor)
        while True:
            chunk = index.chunk(cursor, size)
            mine = [one for one in chunk.found if one.log and self._is_mine(one)]
            fitting = judge.fitting(headers_of(mine))
            yield Part([one for one in fitting if self._is_wanted(one[1])], chunk.cursor, [one.cursor for one in mine])
            if chunk.cursor is None:
                return
            cursor, size = chunk.cursor, next_size(size, chunk.found)

    def _is_mine(self, one: Logged) -> bool:
        return Place.of(one.log.partition(":")[2])[:2] <= self._until[:2]

    def _is_wanted(self, header: EventHeader) -> bool:
        if not self._patterns.match(header.type):
            return False
        try:
            return self._where is None or self._where.matches(header_fields(header))
        except InvalidEventError:
            return False  # its payload is no JSON object, which a filter cannot want; new, it would be a dead letter


def _earlier(wanted: EventFilter, until: Place) -> object:
    """Return the first time that is too late: the filter's own, or right behind the last entry."""
    end = from_ms(until.ms + 1)
    return end if wanted.end_time is None or wanted.end_time > end else wanted.end_time


def _narrower_types(wanted: EventFilter, subscription: Subscription) -> dict[str, tuple[str, ...]]:
    """Let the subscription's own pattern lead to the events, where the filter names no types."""
    return {} if wanted.types or subscription.pattern == "#" else {"types": (subscription.pattern,)}
