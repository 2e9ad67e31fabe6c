"""That this process is alive, and what becomes of those that are not."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable

from eventsys.clock import Clock
from eventsys.errors import EventsysError
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.redis_time import read_clock
from eventsys.store.scripts import script

#: How long a process counts as alive after its last beat. Together with the scan: takeover within 15 s.
LEASE_MS = 12_000

#: How often it beats: two beats may be lost before the lease ends.
BEAT_S = 4.0

#: How often dead processes are looked for.
SCAN_S = 2.0

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
        after_scan: Called, in the thread that beats, after every look for dead processes.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock, *, after_scan: Callable[[], None] = lambda: None) -> None:
        self.name = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
        self.number = 0
        self._epoch = 0
        self._lease_ends_at = float("inf")
        self._link = link
        self._keys = keys
        self._clock = clock
        self._queues: set[str] = set()
        self._leftovers: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._after_scan = after_scan

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

    def appear(self) -> None:
        """The first time, say that this process is alive and begin to beat.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        with self._lock:
            if self._thread is None:
                self._introduce()
                self._thread = threading.Thread(target=self._run, name="eventsys-presence", daemon=True)
                self._thread.start()

    def enter(self, queue: str) -> None:
        """Say that this process is alive and reads a queue.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        self.appear()
        with self._lock:
            self._queues.add(queue)
        self._link.pipeline(
            [
                ("SADD", self._keys.queues, queue),
                ("HSET", self._keys.process(self.name), "queues", ",".join(sorted(self._queues))),
            ]
        )
        self._leftovers.add(queue)

    def reads(self, queue: str) -> bool:
        """Say whether this process reads a queue."""
        return queue in self._queues

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
        self._link.run(script("beat"), self._keys.prefix, self._clock.real_ms(), LEASE_MS, self.name)
        _ = self.epoch
        self._lease_ends_at = began_at + LEASE_MS / 1000
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
        next_beat = time.monotonic() + BEAT_S
        while not self._stop.wait(SCAN_S):
            try:
                if time.monotonic() >= next_beat:
                    self.beat()
                    next_beat = time.monotonic() + BEAT_S
                self.scan()
                self._after_scan()
            except EventsysError as error:
                logger.warning("no heartbeat: %s", error, extra={"action": "no_heartbeat", "process": self.name})
            except Exception:
                logger.exception("after the heartbeat something failed", extra={"action": "tending_failed"})
