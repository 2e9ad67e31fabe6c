"""Telling a process that runs handlers of its own that nobody dispatches events to them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from eventsys.clock import Clock
from eventsys.store.hosts import HostStore
from eventsys.store.keys import LOG_QUEUE

#: Seconds in which nobody is found before that is told: workers are often started beside the application, and after an
#: outage of Redis all of them come back with their next heartbeat.
_PATIENCE_S = 15.0

logger = logging.getLogger(__name__)


class DispatchWatch:
    """Looks, in the rounds of a process that runs what it subscribed at run time, whether some process dispatches.

    Dispatching is for the whole bus: whoever does it keeps the history within its limits, carries replays on, and reads
    every payload that a filter asks for. So an application that only started its own handlers does not do it unasked;
    it says in its log what is missing, as long as nobody does.

    Args:
        hosts: Who reads what.
        clock: The time.
        runs: Returns whether this process runs what it subscribed at run time.
    """

    def __init__(self, hosts: HostStore, clock: Clock, runs: Callable[[], bool]) -> None:
        self._hosts = hosts
        self._clock = clock
        self._runs = runs
        self._since: float | None = None
        self._is_told = False

    def make_round(self) -> bool:
        """Look, and say whether to look again soon."""
        if not self._runs():
            self._since, self._is_told = None, False  # who starts anew is as patient as the first time
            return False
        if self._hosts.is_read(LOG_QUEUE, self._clock.real_ms()):
            self._end()
            return False
        now = self._clock.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since >= _PATIENCE_S and not self._is_told:
            self._is_told = True
            logger.warning(
                "no process dispatches events, so the handlers that events.start() runs here get none; what is"
                " published is stored and waits: start a worker, each dispatches (eventsys worker MODULE), which also"
                " runs what @events.on declares",
                extra={"action": "nobody_dispatches"},
            )
        return not self._is_told

    def _end(self) -> None:
        if self._is_told:
            logger.info("events are dispatched now", extra={"action": "dispatched_now"})
        self._since, self._is_told = None, False
