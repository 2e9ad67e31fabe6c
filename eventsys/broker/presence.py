"""That this process is alive, and what becomes of those that are not."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from typing import NamedTuple

from eventsys.clock import Clock
from eventsys.errors import EventsysError
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.redis_time import read_clock
from eventsys.store.scripts import script


class Lease(NamedTuple):
    """How soon a dead process is noticed: with the usual figures its messages are taken over within 15 s.

    Attributes:
        lease_ms: How long a process counts as alive after its last beat.
        beat_s: Seconds between beats: two may be lost before the lease ends.
        scan_s: Seconds between two looks for dead processes.
    """

    lease_ms: int = 12_000
    beat_s: float = 4.0
    scan_s: float = 2.0


#: Most messages of a dead process moved on one lane by one script.
_MOST_MOVED = 100

logger = logging.getLogger(__name__)


class Presence:
    """The lease under which a process holds messages.

    One thread renews it and takes over from processes whose lease has ended. When this process itself was paused past
    its lease, its `epoch` grows: what it fetched before and did not start belongs to others now.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: Set from Redis's own at every beat.
        lease: How soon it counts as dead without a beat.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock, lease: Lease | None = None) -> None:
        self.name = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
        self.number = 0
        self._epoch = 0
        self._lease_ends_at = float("inf")
        self._link = link
        self._keys = keys
        self._clock = clock
        self._lease = lease or Lease()
        self._queues: set[str] = set()
        self._leftovers: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def epoch(self) -> int:
        """The number of this lease; it grows when the lease has ended before it was renewed."""
        if self._clock.monotonic() > self._lease_ends_at:
            with self._lock:
                self._epoch += 1
                self._lease_ends_at = float("inf")
            logger.warning(
                "this process was away for longer than its lease; what it had fetched is left to others",
                extra={"action": "lease_lost", "process": self.name},
            )
        return self._epoch

    def enter(self, queue: str) -> None:
        """Say that this process reads a queue; the first time, say that it is alive and begin to beat.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        with self._lock:
            if self._thread is None:
                self._introduce()
                self._thread = threading.Thread(target=self._run, name="eventsys-presence", daemon=True)
                self._thread.start()
            self._queues.add(queue)
        self._link.pipeline(
            [
                ("SADD", self._keys.queues, queue),
                ("HSET", self._keys.process(self.name), "queues", ",".join(sorted(self._queues))),
            ]
        )
        self._leftovers.add(queue)

    def has_leftovers(self, queue: str) -> bool:
        """Say whether a queue may hold messages that were handed back, or that a dead process held."""
        return queue in self._leftovers

    def no_leftovers(self, queue: str, *, any_left: bool) -> None:
        """Note that there were none, so that fetching does not ask again before the next scan."""
        if not any_left:
            self._leftovers.discard(queue)

    def beat(self) -> None:
        """Renew the lease and read Redis's clock and memory.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        began_at = self._clock.monotonic()
        self._link.run(script("beat"), self._keys.prefix, self._clock.real_ms(), self._lease.lease_ms, self.name)
        _ = self.epoch
        self._lease_ends_at = began_at + self._lease.lease_ms / 1000
        read_clock(self._clock, self._link.call)

    def scan(self) -> None:
        """Make available what dead processes held."""
        dead, moved, queues = self._link.run(script("take_over"), self._keys.prefix, self._clock.real_ms(), _MOST_MOVED)
        for process in dead:
            logger.warning(
                "process %s is gone; its messages are taken over", process.decode(),
                extra={"action": "takeover", "process": process.decode(), "moved": moved},
            )  # fmt: skip
        self._leftovers.update(queue.decode() for queue in queues)

    def leave(self) -> None:
        """End the lease now, so that nobody waits for it; what is still running is taken over at once."""
        self._stop.set()
        if self._thread is None:
            return
        self._thread.join(2.0)
        commands: list[tuple[str, ...]] = [("ZADD", self._keys.processes, "0", self.name)]
        self._link.pipeline(commands)
        self._link.run(script("take_over"), self._keys.prefix, 1, _MOST_MOVED)

    def _introduce(self) -> None:
        read_clock(self._clock, self._link.call)
        number = self._link.call("HINCRBY", self._keys.workers, "next", 1)
        self._link.pipeline(
            [
                ("HSET", self._keys.workers, number, f"{socket.gethostname()}:{os.getpid()}"),
                ("HSET", self._keys.process(self.name), "host", socket.gethostname(), "pid", os.getpid(), "number", number,
                 "started_ms", self._clock.now_ms()),
            ]
        )  # fmt: skip
        self.beat()
        self.number = int(number)

    def _run(self) -> None:
        next_beat = time.monotonic() + self._lease.beat_s
        while not self._stop.wait(self._lease.scan_s):
            try:
                if time.monotonic() >= next_beat:
                    self.beat()
                    next_beat = time.monotonic() + self._lease.beat_s
                self.scan()
            except EventsysError as error:
                logger.warning("no heartbeat: %s", error, extra={"action": "no_heartbeat", "process": self.name})
