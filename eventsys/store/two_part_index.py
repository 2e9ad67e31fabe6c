"""Reading the older events of a status from its index, and the newer ones from an index of the log."""

from __future__ import annotations

from eventsys.store.index import Chunk, Index
from eventsys.store.places import OLDEST
from eventsys.store.status_index import StatusIndex, cursor_of_status, is_cursor_of_status


class TwoPartIndex:
    """Events up to a moment from the index of a status, and events after it from another; those may have any status.

    A cursor of one never looks like a cursor of the other, so it tells how far a walk has come.

    Args:
        older: The events up to the moment.
        newer: The events after it.
        split_ms: The moment.
        newest_first: The order of both.
    """

    def __init__(self, older: StatusIndex, newer: Index, split_ms: int, *, newest_first: bool) -> None:
        self._first: Index = newer if newest_first else older
        self._second: Index = older if newest_first else newer
        self._is_status_second = newest_first
        self._begin_of_second = cursor_of_status(str(split_ms + 1), "") if newest_first else OLDEST.entry

    def count(self) -> int:
        """Return how many there are in both."""
        return self._first.count() + self._second.count()

    def cursor_at(self, offset: int) -> str | None:
        """Return the cursor of the event up to which `offset` are left out."""
        in_first = self._first.count()
        if offset <= in_first:
            return self._first.cursor_at(offset)
        return self._second.cursor_at(offset - in_first)

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return events behind a cursor, of one part only."""
        if after is not None and is_cursor_of_status(after) is self._is_status_second:
            return self._second.chunk(after, size)
        chunk = self._first.chunk(after, size)
        if chunk.cursor is not None:
            return chunk
        return Chunk(chunk.found, self._begin_of_second) if chunk.found else self._second.chunk(None, size)
