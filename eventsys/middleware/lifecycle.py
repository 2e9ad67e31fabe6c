"""Telling that a process begins and ends: `system.startup` and `system.shutdown`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from dramatiq import Broker, Middleware
from pydantic import BaseModel

from eventsys.broker.broker import EventBroker
from eventsys.clock import Clock
from eventsys.forking import begins_anew_in_children
from eventsys.model.builtin_payloads import SystemStarted, SystemStopped
from eventsys.model.catalog import SYSTEM_SHUTDOWN, SYSTEM_STARTUP
from eventsys.version import __version__


class Lifecycle(Middleware):
    """Publishes the startup and the shutdown of this process, each once for all its workers.

    Workers do it by themselves; a process that has none calls `begin` and `end`. What is killed publishes no shutdown:
    whoever takes over from it warns.

    Args:
        say: Publishes soon, without blocking.
        flush: Waits until that is done, for so many seconds at most.
        clock: What the uptime is measured by.
        hosted: The subscriptions that this process hosts, given the queues it reads; None: all.
    """

    def __init__(
        self,
        say: Callable[[str, BaseModel], None],
        flush: Callable[[float], object],
        clock: Clock,
        hosted: Callable[[Iterable[str] | None], list[str]],
    ) -> None:
        self._say = say
        self._flush = flush
        self._clock = clock
        self._hosted = hosted
        self.forget_process()
        begins_anew_in_children(self)

    def forget_process(self) -> None:
        """In a forked child: it is the parent that has begun."""
        self._role: str | None = None
        self._began = 0.0

    def begin(self, role: str, *, queues: Iterable[str] | None = None) -> None:
        """Publish that this process is ready.

        Args:
            role: What it does: `worker`, `scheduler`.
            queues: Those it reads; None: all.
        """
        self._role, self._began = role, self._clock.monotonic()
        started = SystemStarted(**_facts(role), subscriptions=sorted(self._hosted(queues)))
        self._say(SYSTEM_STARTUP, started)

    def end(self, reason: str = "stopped", *, timeout_s: float = 2.0) -> None:
        """Publish that this process ends in order, if it began, and wait for that for at most `timeout_s`."""
        role, self._role = self._role, None
        if role is None:
            return
        uptime = max(0.0, self._clock.monotonic() - self._began)
        self._say(SYSTEM_SHUTDOWN, SystemStopped(**_facts(role), uptime_seconds=uptime, reason=reason))
        self._flush(timeout_s)

    def after_worker_boot(self, broker: Broker, worker: Any) -> None:
        """Tell of a worker that is ready; not of one that a test turns by hand, which would see it among its own.

        One may begin before the last one has ended: this process has told of itself then.
        """
        if self._role == "worker" or (isinstance(broker, EventBroker) and broker.work.by_hand):
            return
        self.begin("worker", queues=getattr(worker, "queues", None) or getattr(worker, "consumer_whitelist", None))

    def after_worker_shutdown(self, broker: Broker, worker: Any) -> None:  # noqa: ARG002
        """Tell of a worker that has ended, once its last attempt is committed."""
        self.end()


def _facts(role: str) -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "version": __version__, "role": role}
