"""The queues that a process reads, from when a reader enters one until it is left for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script

#: Most queues that Redis is told of by one script.
_TOLD_AT_ONCE = 50


class Named(Protocol):
    """What goes by a name, which may change."""

    name: str


class ReadQueues:
    """What a process knows of the queues that it reads.

    Whoever reads a queue is noted in Redis, where the queue of a subscription that has ended goes once nobody reads it
    any more. So a queue that is left is kept in mind until Redis was told.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.

    Attributes:
        left: Queues that are read no longer, each with its subscription, until Redis was told.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._names: set[str] = set()
        self._leftovers: set[str] = set()
        self._readers: dict[str, Callable[[], None]] = {}
        self.left: dict[str, str] = {}

    def __contains__(self, queue: str) -> bool:
        return queue in self._names

    def names(self) -> list[str]:
        """Return their names, sorted."""
        return sorted(self._names)

    def enter(self, queue: str) -> bool:
        """Note that a queue is read, and say whether it was not before."""
        is_new = queue not in self._names
        self._names.add(queue)
        self.left.pop(queue, None)
        return is_new

    def leave(self, queue: str, subscription: str) -> None:
        """Note that a queue is read no longer: that of a subscription, which this process hosted and hosts no more."""
        self._names.discard(queue)
        self._leftovers.discard(queue)
        self._readers.pop(queue, None)
        self.left[queue] = subscription

    def tell_left(self, presence: Named, lock: AbstractContextManager[object]) -> None:
        """Tell Redis which queues were left, some at a time; where that fails the rest stay for the next time.

        Args:
            presence: The process, which may have another name each time.
            lock: Held meanwhile by this: else who enters a queue might be overtaken.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        while self.left:
            with lock:
                left = dict(list(self.left.items())[:_TOLD_AT_ONCE])
                pairs = [value for pair in left.items() for value in pair]
                names = ",".join(self.names())
                self._link.run(script("leave_queues"), self._keys.prefix, presence.name, names, *pairs)
                for queue in left:
                    self.left.pop(queue, None)

    def wake_by(self, queue: str, wake: Callable[[], None]) -> None:
        """Call `wake` when a reader of a queue that waits for messages has something else to see to."""
        self._readers[queue] = wake

    def wake(self, queues: Iterable[str]) -> None:
        """Wake the readers of some queues."""
        for queue in queues:
            if (wake := self._readers.get(queue)) is not None:
                wake()

    def wake_all(self) -> None:
        """Wake all readers."""
        self.wake(list(self._readers))

    def have_leftovers(self, queue: str) -> bool:
        """Say whether a queue may hold messages that were handed back, or that a dead process held."""
        return queue in self._leftovers

    def may_have_leftovers(self, queues: Iterable[str]) -> None:
        """Note queues that may hold such messages, as far as this process reads them."""
        self._leftovers |= self._names.intersection(queues)

    def no_leftovers(self, queue: str) -> None:
        """Note that there were none, so that fetching does not ask again before the next scan."""
        self._leftovers.discard(queue)
