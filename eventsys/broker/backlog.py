"""The bound of what waits for its commit: whoever fetches stands still at it, until the committer has caught up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from .finished import Finished

#: Most ends that wait, or are under way, before nothing more is fetched; when half of them are gone fetching goes on.
#: Two commits, of 700 each or so, are left then, so that Redis is never idle for want of them. What is fetched
#: already is handled, and comes on top: `prefetch.MOST` of each queue at most.
MOST_ENDS = 3_072

#: Bytes of their messages and of what these leave behind, after which it is the same.
MOST_BYTES = 32 * 1024 * 1024

#: Bytes of one commit, as far as attempts can be told apart: Redis serves nobody else while it reads and stores them.
MOST_BYTES_AT_ONCE = 8 * 1024 * 1024


class Backlog:
    """How much waits for its commit, and whether more may come.

    Handlers and the dispatcher end messages faster than Redis commits them where it is slow, refuses, or comes back
    after it was away. It is asked once for each fetch, never for a message; below the bound it costs nothing.

    Args:
        count: Returns how many ends wait.

    Attributes:
        bytes: What those hold that are large, or leave something behind.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self.bytes = 0
        self._standing = 0
        self._weighing = threading.Lock()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._count()

    @property
    def standing(self) -> int:
        """How many fetchers stand still for it."""
        return self._standing

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing more may be fetched."""
        return self._count() >= MOST_ENDS or self.bytes >= MOST_BYTES

    def weigh_all(self, finished: Sequence[Finished]) -> None:
        """Count what these hold, which wait now."""
        if size := sum([one.weight for one in finished]):
            with self._weighing:
                self.bytes += size

    def lighten(self, finished: Sequence[Finished]) -> None:
        """Count what these hold no longer."""
        if self.bytes and (size := sum([one.weight for one in finished])):
            with self._weighing:
                self.bytes -= size

    def take(self, waiting: deque[Finished], most: int) -> list[Finished]:
        """Take what waits, for one commit: at most so many, and fewer where they are large."""
        if not self.bytes:
            return [waiting.popleft() for _ in range(most)]
        taken, size = list[Finished](), 0
        while len(taken) < most and size < MOST_BYTES_AT_ONCE:
            taken.append(waiting.popleft())
            size += taken[-1].weight
        return taken

    def has_room(self, timeout_s: float) -> bool:
        """Say whether more may be fetched; if not, wait for at most `timeout_s` until half of what may wait is gone."""
        if not self.is_full:
            return True
        with self._changed:
            self._standing += 1
            try:
                return self._changed.wait_for(self._has_caught_up, timeout_s)
            finally:
                self._standing -= 1

    def has_shrunk(self) -> None:
        """Let those go on who stand still, if enough was committed."""
        # Who begins to stand still looks for itself once more, after this sees nobody.
        if self._standing and self._has_caught_up():
            with self._changed:
                self._changed.notify_all()

    def _has_caught_up(self) -> bool:
        return self._count() <= MOST_ENDS // 2 and self.bytes <= MOST_BYTES // 2
