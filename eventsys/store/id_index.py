"""Reading the events of given ids."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from eventsys.store.index import Chunk
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.places import Logged, Place, envelope_in, place_of_cursor, places_of_logs


class IdIndex:
    """The events of some ids that are in the log, in the order they were stored.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        ids: The ids; one that is not there is left out.
        first_ms: The earliest time, included.
        last_ms: The latest time, included; None: no end.
        newest_first: The order.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        ids: Sequence[str],
        *,
        first_ms: int = 0,
        last_ms: int | None = None,
        newest_first: bool = True,
    ) -> None:
        self._link = link
        self._keys = keys
        self._newest_first = newest_first
        logs = link.pipeline([("HGET", keys.record(one), "log") for one in dict.fromkeys(ids)])
        places = sorted(place for place in places_of_logs(logs) if place is not None)
        low = bisect_left(places, Place(first_ms, 0))
        high = len(places) if last_ms is None else bisect_left(places, Place(last_ms + 1, 0))
        self._places = places[low:high]

    def count(self) -> int:
        """Return how many of them lie between the times asked for."""
        return len(self._places)

    def cursor_at(self, offset: int) -> str | None:
        """Return the cursor of the event up to which `offset` are left out."""
        if offset <= 0 or not self._places:
            return None
        at = min(offset, len(self._places))
        return self._places[-at if self._newest_first else at - 1].entry

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return events behind a cursor."""
        places = self._behind(after)[:size]
        replies = self._link.pipeline([place.command(self._keys) for place in places]) if places else []
        found = [
            Logged(one.entry, None, envelope_in(reply), one.log) for one, reply in zip(places, replies, strict=True)
        ]
        return Chunk(found, places[-1].entry if len(places) == size else None)

    def _behind(self, after: str | None) -> list[Place]:
        if after is None:
            return self._places[::-1] if self._newest_first else self._places
        place = place_of_cursor(after)
        if self._newest_first:
            return self._places[: bisect_left(self._places, place)][::-1]
        return self._places[bisect_right(self._places, place._replace(home="~")) :]
