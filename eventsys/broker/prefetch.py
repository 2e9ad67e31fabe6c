"""How many messages a process may hold ahead of its threads."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Most messages of a queue a process holds; a batch of this size hides a round trip at 100,000 messages a second.
MOST = 512

#: What a process may hold is what it handles in this time, so that fast handlers are fed in batches and slow ones hoard
#: nothing that another process could run.
AHEAD_S = 0.05

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
        return self._limit
