"""Keeping the leases of worker processes whose own threads may not get to run."""

from __future__ import annotations

import logging
import threading

from eventsys.broker.presence import Lease
from eventsys.errors import EventsysError
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script

logger = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews the leases of living processes, and ends those of dead ones, from a thread of its own.

    A handler may hold the interpreter for longer than a lease lasts; its process cannot renew the lease then, and
    would lose its work to another one. The lease of a process that is known to be dead ends at once.

    Args:
        url: Where Redis is.
        bus: The name of the bus.
        lease: How long a lease lasts, and how often it is renewed; None: as everywhere.
    """

    def __init__(self, url: str, bus: str, lease: Lease | None = None) -> None:
        self._lease = lease or Lease()
        self._link = Link(url)
        self._keys = Keys(bus)
        self._alive: set[str] = set()
        self._dead: set[str] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="eventsys-leases", daemon=True)
        self._thread.start()

    def keep(self, presence: str) -> None:
        """Renew the lease of a process from now on."""
        with self._changed:
            self._alive.add(presence)

    def let_go(self, presence: str) -> None:
        """Leave the lease to the process, which is about to end it itself."""
        with self._changed:
            self._alive.discard(presence)

    def end(self, presence: str) -> None:
        """End the lease of a process that is dead, so that its work is taken over now."""
        with self._changed:
            self._alive.discard(presence)
            self._dead.add(presence)
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, after the leases of the dead are ended."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(5.0)
        self._link.close()

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(lambda: self._dead or self._closing, self._lease.beat_s)
                closing, alive, dead = self._closing, sorted(self._alive), sorted(self._dead)
            try:
                self._tell(alive, dead)
            except EventsysError as error:
                logger.warning("leases could not be renewed: %s", error, extra={"action": "no_lease_beat"})
                with self._changed:
                    self._changed.wait(0.0 if self._closing else 1.0)
            else:
                with self._changed:
                    self._dead.difference_update(dead)

    def _tell(self, alive: list[str], dead: list[str]) -> None:
        if dead:
            # XX: a process that left by itself is no longer listed.
            self._link.pipeline([("ZADD", self._keys.processes, "XX", "0", name) for name in dead])
        if alive:
            seconds, micros = self._link.call("TIME")
            now_ms = int(seconds) * 1000 + int(micros) // 1000
            self._link.run(script("beat"), self._keys.prefix, now_ms, self._lease.lease_ms, *alive)
