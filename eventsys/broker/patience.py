"""How long a reader of an empty queue waits in Redis, and how it is woken there."""

from __future__ import annotations

import threading

from eventsys.store.channel import Channel

#: Most milliseconds of one wait: six commands a minute for an idle queue, or a few more where its lease ends sooner.
LONGEST_MS = 10_000


class Patience:
    """The waits of one reader, longer the longer nothing comes.

    A long wait is ended from another thread by breaking the connection on which it waits. Redis has a command for it,
    `CLIENT UNBLOCK`, and before 7.2 a server ends by an assertion of its own when that meets a reader which a
    `CLIENT PAUSE` holds up, as in a failover. Whoever wakes and comes just before the wait begins wakes nobody, and has
    to come again.

    Args:
        channel: On which the reader waits.
        shortest_ms: The first wait, and every one until `lengthen` is called.
    """

    def __init__(self, channel: Channel, shortest_ms: int) -> None:
        self._channel = channel
        self._shortest_ms = self._wait_ms = self._longest_ms = shortest_ms
        self._lock = threading.Lock()
        self._waits = False
        self._was_woken = False

    @property
    def is_on(self) -> bool:
        """Whether the reader waits: its queue had nothing for it a moment ago."""
        return self._waits

    def lengthen(self) -> None:
        """Let waits grow: whoever ends this reader wakes it."""
        self._longest_ms = max(LONGEST_MS, self._shortest_ms)

    def begin(self, *, within_s: float = float("inf")) -> int:
        """Return how many milliseconds to wait now, at least 1; `end` must follow.

        Args:
            within_s: Seconds after which nothing may be waiting in Redis any more.
        """
        with self._lock:
            self._waits, self._was_woken = True, False
        return max(1, int(min(self._wait_ms, within_s * 1000)))

    def end(self, *, found: bool) -> bool:
        """Note that a wait is over, and whether anything came.

        Returns:
            Whether it was woken: its connection is broken, and what Redis gave out at that moment may be lost.
        """
        with self._lock:
            self._waits = False
        self._wait_ms = self._shortest_ms if found else min(2 * self._wait_ms, self._longest_ms)
        return self._was_woken

    def wake(self) -> None:
        """End a wait that goes on; harmless when none does."""
        with self._lock:
            if self._waits:
                self._was_woken = self._channel.hang_up() or self._was_woken
