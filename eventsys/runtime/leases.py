"""Keeping the leases of worker processes, and seeing to what they held when they are dead."""

from __future__ import annotations

import logging
import threading

from eventsys.broker.lease import Lease
from eventsys.errors import EventsysError
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script

#: Most messages of a dead process moved on one lane by one script.
_MOST_MOVED = 200

logger = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews the leases of living processes, and releases what dead ones held, from a thread of its own.

    A handler may hold the interpreter for longer than a lease lasts; its process cannot renew the lease then, and
    would lose its work to another one. What a process held that is known to be dead is available again at once: as
    suspects what it had begun, and the rest as if it had handed it back. Should this process die before that is done,
    all of it is taken over when the lease ends.

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
        self._dead: dict[str, list[bytes] | None] = {}
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

    def end(self, presence: str, begun: list[bytes] | None) -> None:
        """End the lease of a process that is dead, and release what it held; tried again until Redis has done it.

        Args:
            presence: The name of the lease.
            begun: The marks of what it had begun; None: nobody can tell, and everything is taken over as a suspect.
        """
        with self._changed:
            self._alive.discard(presence)
            self._dead[presence] = begun
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, after what the dead held is released."""
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
                closing, alive, dead = self._closing, sorted(self._alive), dict(self._dead)
            try:
                self._tell(alive, dead)
            except EventsysError as error:
                logger.warning("leases could not be renewed: %s", error, extra={"action": "no_lease_beat"})
                with self._changed:
                    self._changed.wait(0.0 if self._closing else 1.0)
            else:
                with self._changed:
                    for name in dead:
                        del self._dead[name]

    def _tell(self, alive: list[str], dead: dict[str, list[bytes] | None]) -> None:
        seconds, micros = self._link.call("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        if alive:
            self._link.run(script("beat"), self._keys.prefix, now_ms, self._lease.lease_ms, *alive)
        for name, begun in dead.items():
            self._release(now_ms, name, begun)

    def _release(self, now_ms: int, name: str, begun: list[bytes] | None) -> None:
        if begun is None:
            # XX: a process that left by itself is no longer listed.
            self._link.pipeline([("ZADD", self._keys.processes, "XX", "0", name)])
            return
        released = suspects = 0
        moved = -1
        while moved:
            arguments = (now_ms, name, _MOST_MOVED, *begun)
            moved, suspected = self._link.run(script("release_process"), self._keys.prefix, *arguments)
            released, suspects = released + moved, suspects + suspected
        if released:
            logger.warning(
                "process %s held %d messages, of which %d may have killed it", name, released, suspects,
                extra={"action": "process_released", "worker": name, "count": released, "suspects": suspects},
            )  # fmt: skip
