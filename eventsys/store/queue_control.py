"""Holding back whole queues."""

from __future__ import annotations

from eventsys.errors import NotFoundError
from eventsys.store.keys import INLINE_QUEUE, LOG_QUEUE, Keys
from eventsys.store.link import Link
from eventsys.store.oddities import text_of


class QueueControl:
    """Pauses and resumes queues, for all processes of the bus. One subscription alone is paused by its own name.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def pause(self, queue: str) -> None:
        """Let no process fetch from a queue: each heeds it within a second. What is fetched already still runs.

        It outlives processes and deploys; only `resume` ends it. Paused, `eventsys.log` dispatches nothing.

        Raises:
            NotFoundError: If no process ever read, sent to or has actors of a queue of this name.
        """
        self.check(queue)
        self._link.call("SADD", self._keys.queues_paused, queue)
        self._link.call("INCR", self._keys.news)

    def resume(self, queue: str) -> None:
        """Let processes fetch from a queue again.

        Raises:
            NotFoundError: If no process ever read, sent to or has actors of a queue of this name.
        """
        self.check(queue)
        self._link.call("SREM", self._keys.queues_paused, queue)
        self._link.call("INCR", self._keys.news)

    def paused(self) -> set[str]:
        """Return the queues that are paused."""
        return {text_of(name) for name in self._link.call("SMEMBERS", self._keys.queues_paused)}

    def check(self, queue: str) -> None:
        """See that there is a queue of this name.

        Raises:
            NotFoundError: If no process knows one.
        """
        known = {text_of(name) for name in self._link.call("SMEMBERS", self._keys.queues)} - {INLINE_QUEUE} | {
            LOG_QUEUE
        }
        if queue not in known:
            raise NotFoundError(
                f"no queue {queue!r} is known; there are {', '.join(sorted(known)) or 'none'}: eventsys queue ls"
            )
