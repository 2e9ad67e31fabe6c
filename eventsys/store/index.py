"""What every index of the history answers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from eventsys.store.places import Logged


class Chunk(NamedTuple):
    """A part of what an index lists.

    Attributes:
        found: The events, in the order asked for.
        cursor: Where the next part begins; what was passed over lies before it. None at the end.
    """

    found: list[Logged]
    cursor: str | None


class Index(Protocol):
    """Events in the order of time, newest or oldest first, within the times asked for."""

    def count(self) -> int:
        """Return how many there are."""

    def cursor_at(self, offset: int) -> str | None:
        """Return the cursor behind which `offset` events are left out; None for the beginning."""

    def chunk(self, after: str | None, size: int) -> Chunk:
        """Return about `size` events behind a cursor; fewer do not mean that the end is reached.

        Raises:
            InvalidCursorError: If the cursor is none of this index.
        """
