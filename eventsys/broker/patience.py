"""How long a reader of an empty queue waits in Redis, and how it is woken there."""

from __future__ import annotations

import logging

from eventsys.errors import EventsysError, RedisRefusedError
from eventsys.store.link import Channel, Link

#: Most milliseconds of one wait: six commands a minute for an idle queue.
LONGEST_MS = 10_000

logger = logging.getLogger(__name__)


class Patience:
    """The waits of one reader, longer the longer nothing comes.

    A long wait can be ended from another thread, by Redis's `CLIENT UNBLOCK`; where the user of the connection may not
    use that, waits stay short. Whoever wakes and comes just before the wait begins wakes nobody, and has to come again.

    Args:
        link: Over which it is woken.
        channel: On which it waits.
        shortest_ms: The first wait, and every one until `lengthen` is called.
    """

    def __init__(self, link: Link, channel: Channel, shortest_ms: int) -> None:
        self._link = link
        self._channel = channel
        self._shortest_ms = self._wait_ms = self._longest_ms = shortest_ms
        self._client: int | None = None
        self._asked_of = -1
        self._waits = False

    def lengthen(self) -> None:
        """Let waits grow: whoever ends this reader wakes it."""
        self._longest_ms = max(LONGEST_MS, self._shortest_ms)

    def begin(self) -> int:
        """Return how many milliseconds to wait now; `end` must follow.

        Raises:
            RedisUnavailableError: If Redis does not answer.
        """
        wait_ms = self._wait_ms
        if wait_ms > self._shortest_ms and not self._can_be_woken():
            wait_ms = self._wait_ms = self._longest_ms = self._shortest_ms
        self._waits = True
        return wait_ms

    def end(self, *, found: bool) -> None:
        """Note that a wait is over, and whether anything came."""
        self._waits = False
        self._wait_ms = self._shortest_ms if found else min(2 * self._wait_ms, self._longest_ms)

    def wake(self) -> None:
        """End a long wait that goes on; harmless when none does."""
        if not self._waits or self._client is None:
            return
        try:
            self._link.call("CLIENT", "UNBLOCK", self._client)
        except EventsysError as error:
            logger.info("a reader could not be woken: %s", error, extra={"action": "reader_sleeps"})

    def _can_be_woken(self) -> bool:
        """Learn by which number Redis knows the connection, anew when that was opened again."""
        if self._asked_of != self._channel.opened or not self._channel.is_open:
            try:
                self._client = int(self._channel.call("CLIENT", "ID"))
                # It is not blocked now, so this does nothing, unless it is forbidden.
                self._channel.call("CLIENT", "UNBLOCK", self._client)
            except RedisRefusedError:
                self._client = None
            self._asked_of = self._channel.opened
        return self._client is not None
