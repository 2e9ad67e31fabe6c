"""Telling Redis which queues there are, so that one that nobody reads is seen with what waits there."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from eventsys.errors import EventsysError
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of


class QueueNames:
    """Tells of each queue once a process: when it is first sent to, or a worker runs where it has actors.

    A queue that a worker reads is told of by that worker, and one of a subscription by who declares that; without this,
    messages to a misspelt queue, or to one whose worker was never started, would wait unseen.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._told: set[str] = set()

    def tell(self, names: Iterable[str]) -> None:
        """Tell of those that this process has not told of yet.

        Raises:
            RedisUnavailableError: If Redis cannot be told; it is tried again with the next call.
            BackpressureError: If Redis is at its memory limit.
        """
        new = set(names) - self._told
        if new:
            self._link.call("SADD", self._keys.queues, *sorted(new))
            self._told |= new

    def mention(self, name: str) -> None:
        """Tell of one as `tell` does; where Redis cannot be told, that is left to the next call.

        For what goes out with a commit: whether it does is not decided here, and must not hang on this.
        """
        with suppress(EventsysError):
            self.tell([name])

    def known(self) -> set[str]:
        """Return all that any process has told of.

        Raises:
            RedisUnavailableError: If Redis does not answer.
        """
        return {text_of(name) for name in self._link.call("SMEMBERS", self._keys.queues)}

    def forget_one(self, name: str) -> None:
        """Tell of one anew when there is something to tell: nothing has that queue any more."""
        self._told.discard(name)

    def forget(self) -> None:
        """Tell of all of them anew: it is another Redis."""
        self._told.clear()
