"""Which cron tasks processes declare, and when they last did."""

from __future__ import annotations

from collections.abc import Sequence

from eventsys.store.keys import Keys
from eventsys.store.link import AT_ONCE, Link
from eventsys.store.oddities import numbers_of


class DeclaredTasks:
    """What each process says again and again of the tasks that its code declares.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def say(self, names: Sequence[str], real_ms: int) -> None:
        """Note that a process declares these tasks."""
        for start in range(0, len(names), AT_ONCE):
            pairs = [part for name in names[start : start + AT_ONCE] for part in (name, real_ms)]
            self._link.call("HSET", self._keys.cron_declared, *pairs)

    def said(self) -> dict[str, int]:
        """Return when each task was last declared, in real milliseconds."""
        flat = self._link.call("HGETALL", self._keys.cron_declared)
        return numbers_of(self._keys.cron_declared, flat)

    def forget(self, names: Sequence[str]) -> None:
        """Note no longer when these tasks were declared; a process that declares one says so again."""
        for start in range(0, len(names), AT_ONCE):
            self._link.call("HDEL", self._keys.cron_declared, *names[start : start + AT_ONCE])
