"""How many messages a process may hold ahead of its threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

#: Most messages of a queue a process holds. Whoever fetches or commits beside a thread that handles messages waits up
#: to 5 ms for the interpreter after each call of the system; while half of these are handled, a fetch must be over.
MOST = 2048

#: What a process may hold is what it handles in this time, so that fast handlers are fed in batches and slow ones hoard
#: nothing that another process could run.
AHEAD_S = 0.05

#: Bytes of messages of one queue that a process may hold, as far as the last ones tell: where they are large, fewer.
MOST_BYTES = 16 * 1024 * 1024

#: Seconds without room after which handlers count as stalled: what is held ahead was to last for a twentieth of that.
STALLED_S = 1.0

#: With less than this between two readings the rate would be noise.
_SHORTEST_S = 0.005


class Prefetch:
    """The number of messages one queue of this process may hold, from how fast it handles them.

    Args:
        threads: The threads that handle them: never fewer than this are held.
        monotonic: Returns seconds that only grow.
    """

    def __init__(self, threads: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.threads = max(1, threads)
        self._limit = self.threads
        self._bytes = 0.0
        self._in_vain_s = 0.0
        self._seen = 0
        self._seen_at = monotonic()

    def limit(self, handled: int) -> int:
        """Return how many may be held now.

        Args:
            handled: How many have been handled since the process began.
        """
        now = self._monotonic()
        passed = now - self._seen_at
        if passed >= _SHORTEST_S:
            ahead = int((handled - self._seen) / passed * AHEAD_S)
            # Half way to the new figure at most when it falls: one slow fetch is not yet a slow handler.
            self._limit = max(self.threads, min(MOST, max(ahead, self._limit // 2)))
            self._seen, self._seen_at = handled, now
        if self._limit * self._bytes > MOST_BYTES:
            return max(self.threads, int(MOST_BYTES / self._bytes))
        return self._limit

    def waited(self, seconds: float, *, found_room: bool) -> None:
        """Learn whether there was room within so many seconds."""
        self._in_vain_s = 0.0 if found_room else self._in_vain_s + seconds

    def excess(self, held: int) -> int:
        """Return how many of those that are held others could handle sooner; then no more are held than threads.

        Those are what fast handlers would have done in an instant, and the handlers are not fast any more.
        """
        if self._in_vain_s < STALLED_S or held <= self.threads:
            return 0
        self._limit = self.threads
        return held - self.threads

    def weigh(self, few: Sequence[Sequence[bytes]]) -> None:
        """Learn how large messages are from a few that were fetched.

        Args:
            few: The fields of each, names and values in turn.
        """
        seen = sum(sum(map(len, fields)) for fields in few) / len(few)
        # At once when they grow, and slowly when they shrink: the next large one may be near.
        self._bytes = max(seen, 0.9 * self._bytes + 0.1 * seen)
