"""What goes wrong, and when: drawn beforehand from a seed, so that the same seed does the same again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field

import redis

from eventsys.store.keys import Keys

from .ledger import Delivery
from .server import Server
from .workers import WorkerPool

FAULTS = ("kill", "stop", "redis", "connections", "scripts")
"""A worker is killed; one is paused past its lease; Redis is killed; all connections are cut; all scripts forgotten."""


LONGEST_DELAY_S = 0.2
"""What a worker may have to work before it is killed, in seconds."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at_s: When, in seconds after the beginning.
        kind: One of `FAULTS`.
        victim: The number of the worker it strikes.
        delay_s: Seconds between the moment the victim works and a kill.
    """

    at_s: float
    kind: str
    victim: int
    delay_s: float


@dataclass
class Strike:
    """A worker that was killed or paused: when, its pid, and the deliveries it held."""

    at: float
    pid: int
    held: list[Delivery]


def draw(seed: int, counts: dict[str, int], *, seconds: float, workers: int) -> list[Fault]:
    """Return the faults of a run in their order.

    Args:
        seed: Decides everything.
        counts: How often each kind strikes.
        seconds: How long the run is; the strikes of a kind are a Poisson process over it.
        workers: How many workers there are.
    """
    chance = random.Random(seed)
    faults = [
        Fault(chance.uniform(0, seconds), kind, chance.randrange(workers), chance.uniform(0, LONGEST_DELAY_S))
        for kind, count in counts.items()
        for _ in range(count)
    ]
    return sorted(faults, key=lambda fault: fault.at_s)


@dataclass
class Nemesis:
    """Carries out faults.

    Attributes:
        server: The Redis.
        keys: Its keys.
        pool: The workers.
        pause_s: How long a paused worker is paused.
        done: How often each kind struck.
        strikes: The workers that were killed or paused.
    """

    server: Server
    keys: Keys
    pool: WorkerPool
    pause_s: float
    done: dict[str, int] = field(default_factory=dict)
    strikes: list[Strike] = field(default_factory=list)
    _paused: list[threading.Timer] = field(default_factory=list)

    def carry_out(self, faults: list[Fault]) -> None:
        """Let all of them happen, each at its time or as soon as the one before is over."""
        began_at = time.monotonic()
        for fault in faults:
            time.sleep(max(0.0, began_at + fault.at_s - time.monotonic()))
            getattr(self, f"_{fault.kind}")(fault)
            self.done[fault.kind] = self.done.get(fault.kind, 0) + 1
        for timer in self._paused:
            timer.join()

    def _kill(self, fault: Fault) -> None:
        # Not at the moment it begins, which is when a process has its first suspect in hand: at a random one.
        self.pool.wait_until_ready(fault.victim)
        time.sleep(fault.delay_s)
        self.pool.kill(fault.victim, lambda pid: self._note(time.monotonic(), pid))

    def _stop(self, fault: Fault) -> None:
        pid = self.pool.pause(fault.victim)
        self._note(time.monotonic(), pid)
        timer = threading.Timer(self.pause_s, _go_on, [pid])
        timer.start()
        self._paused.append(timer)

    def _redis(self, fault: Fault) -> None:
        self.server.kill()

    def _connections(self, fault: Fault) -> None:
        for kind in ("normal", "pubsub"):
            self.server.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def _scripts(self, fault: Fault) -> None:
        self.server.client.script_flush()

    def _note(self, at: float, pid: int) -> None:
        try:
            held = self.server.held_by(self.keys, pid)
        except redis.RedisError:
            held = []  # Another fault struck at the same time; then this one is left out of the takeover times.
        self.strikes.append(Strike(at, pid, held))


def _go_on(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # killed meanwhile
