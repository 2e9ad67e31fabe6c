"""Whether Redis has room for more events."""

from __future__ import annotations

import time

from eventsys.errors import BackpressureError, RedisRefusedError
from eventsys.store.link import Link

#: The share of `maxmemory` above which nothing more is taken in: what drains the queues needs some too.
MOST = 0.95

#: The share below which there is room again, as far as people are told.
ROOMY = 0.90

#: Seconds for which the answer holds that there is room.
_HOLDS_S = 1.0


class MemoryRoom:
    """Refuses what would be added to a Redis that is nearly full, so that the rest is left to what drains it.

    Redis itself refuses at its limit, but not what handlers publish: that goes out with their acknowledgements, which
    must pass.

    Args:
        link: The way to Redis.

    Attributes:
        share: How much of its memory limit Redis used when it was last asked; 0 where it has none.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._look_at = 0.0
        self.share = 0.0

    def forget(self) -> None:
        """Know nothing: it is another Redis from now on."""
        self._look_at, self.share = 0.0, 0.0

    def look(self) -> float:
        """Ask Redis, unless it had room within the last second, and return the share that is used.

        Whoever was refused wants to know as soon as there is room, also while another thread is asking.

        Raises:
            RedisUnavailableError: If it does not answer.
        """
        now = time.monotonic()
        if now < self._look_at and self.share <= MOST:
            return self.share
        self._look_at = now + _HOLDS_S
        try:
            facts = _facts(self._link.call("INFO", "memory"))
        except RedisRefusedError:
            self._look_at, self.share = float("inf"), 0.0  # not for this user; Redis itself refuses at the limit
            return self.share
        limit = facts.get("maxmemory", 0)
        self.share = facts.get("used_memory", 0) / limit if limit else 0.0
        return self.share

    def check(self) -> None:
        """Refuse where Redis is nearly full.

        Raises:
            BackpressureError: If it is.
            RedisUnavailableError: If it does not answer.
        """
        self.look()
        self.check_known()

    def check_known(self) -> None:
        """Refuse where Redis was nearly full when it was last asked; nothing is asked now."""
        if self.share > MOST:
            raise BackpressureError(
                f"Redis uses {self.share:.0%} of its memory limit and takes no more events; what it holds goes on"
            )


def _facts(info: bytes) -> dict[str, int]:
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: int(value) for name, _, value in lines if value.isdecimal()}
