"""Keeping the history within its limits, and telling before it gets too long."""

from __future__ import annotations

import logging
from collections.abc import Callable

from eventsys.bus.system_events import SystemEvents
from eventsys.clock import Clock, to_ms
from eventsys.errors import EventsysError
from eventsys.model.history_size import HistorySize
from eventsys.store.link import Link
from eventsys.store.retention import Retention

#: The trouble that is reported before young events are taken out.
HISTORY_FULL = "history:full"

#: The trouble that Redis may drop keys of its own accord.
EVICTION = "redis:eviction"

#: How full the history is when that is reported, and when it is over.
_FULL, _ROOMY = 0.9, 0.8

#: How long young events are spared while the warning is not published, in ms.
_SPARED_MS = 60_000

#: Most steps in one go, so that nobody who calls is kept for long; the next one goes on.
_MOST_STEPS = 200

logger = logging.getLogger(__name__)


class Housekeeping:
    """Takes old events out of the history: as a sweep, and in every process that dispatches, every few seconds.

    Events younger than the retention are taken out, because there are too many, only after `system.warning` told of
    it.

    Args:
        link: The way to Redis.
        retention: What is taken out, and how.
        system: Where trouble is reported.
        clock: The time.
        dispatches: Whether this process reads the log.
    """

    def __init__(
        self,
        link: Link,
        retention: Retention,
        system: SystemEvents,
        clock: Clock,
        *,
        dispatches: Callable[[], bool] = lambda: True,
    ) -> None:
        self._dispatches = dispatches
        self.retention = retention
        self._link = link
        self._system = system
        self._clock = clock
        self._is_declared = False
        self._full_since_ms: int | None = None

    def make_round(self) -> bool:
        """Do what a process that dispatches does now and then; the first time, look at how Redis is set up too.

        Return whether there may be more to do soon.
        """
        if not self._dispatches():
            return False
        if not self._is_declared:
            self.retention.declare()
            self.check_eviction()
            self._is_declared = True
        return self.trim(self._clock.now_ms()) > 0 or self._full_since_ms is not None

    def declare(self) -> None:
        """Let publishing be refused at the limit of bytes, if this process was given one."""
        if self.retention.limits.bytes is not None:
            self.retention.declare()

    def forget(self) -> None:
        """Begin anew, on a bus that this process has not seen."""
        self._is_declared, self._full_since_ms = False, None

    def trim(self, now_ms: int) -> int:
        """Take out what is past its retention, and return how much that was."""
        takes_young = self._may_take_young(now_ms)
        taken = 0
        for _ in range(_MOST_STEPS):
            step = self.retention.trim(now_ms, takes_young=takes_young)
            taken += step.events + step.of_classes
            if not step.has_more:
                break
        return taken

    def tidy(self, now_ms: int) -> int:
        """Take out of the indexes what the history no longer tells of, and return how much that was."""
        self._look_for_room()
        taken = self.retention.trim_names(now_ms)
        for _ in range(_MOST_STEPS):
            gone, has_more = self.retention.trim_indexes(now_ms)
            taken += gone
            if not has_more:
                break
        return taken

    def check_eviction(self) -> None:
        """Report a Redis that drops keys when it is full: what it drops is lost, and no promise holds."""
        try:
            policy = _policy_in(self._link.call("INFO", "memory"))
        except EventsysError as error:
            logger.info("Redis does not tell its maxmemory-policy: %s", error, extra={"action": "policy_unknown"})
            return
        if policy in {"", "noeviction"}:
            if self._is_reported(EVICTION):
                self._system.over(EVICTION, "Redis drops no keys any more")
            return
        message = f"Redis may drop events when it is full: set maxmemory-policy to noeviction, it is {policy}"
        logger.warning("%s", message, extra={"action": "eviction_possible", "policy": policy})
        self._system.warn(EVICTION, message, details={"policy": policy})

    def _may_take_young(self, now_ms: int) -> bool:
        """Say whether the limits of number and bytes count by now: only when their warning is out."""
        size, limits = self.retention.size(), self.retention.limits
        share = self._share(size)
        is_young = size.oldest_at is not None and to_ms(size.oldest_at) >= now_ms - limits.age_ms
        if share < _FULL or not is_young:
            self._full_since_ms = None
            return False
        if self._full_since_ms is None:
            self._full_since_ms = now_ms
        if self._is_reported():
            return True
        self._report(size)
        return now_ms - self._full_since_ms >= _SPARED_MS

    def _look_for_room(self) -> None:
        """Report the end of a full history; the limits lie apart, so that it does not begin and end all the time."""
        if self._is_reported() and self._share(self.retention.size()) < _ROOMY:
            self._system.over(HISTORY_FULL, "the history has room again")

    def _share(self, size: HistorySize) -> float:
        limits = self.retention.limits
        return max(size.events / limits.events, 0.0 if limits.bytes is None else size.bytes / limits.bytes)

    def _is_reported(self, key: str = HISTORY_FULL) -> bool:
        return any(trouble.key == key for trouble in self._system.troubles())

    def _report(self, size: HistorySize) -> None:
        limits = self.retention.limits
        message = (
            f"the history is nearly full with {size.events} events of {size.bytes} bytes, so events younger than the"
            " retention will go; raise retention_count or retention_bytes, or shorten retention"
        )
        logger.warning("%s", message, extra={"action": "history_full", "events": size.events, "bytes": size.bytes})
        details = {"events": size.events, "bytes": size.bytes, "most_events": limits.events, "most_bytes": limits.bytes}
        self._system.warn(HISTORY_FULL, message, details=details)


def _policy_in(info: bytes) -> str:
    for line in info.decode().splitlines():
        name, _, value = line.partition(":")
        if name == "maxmemory_policy":
            return value.strip()
    return ""
