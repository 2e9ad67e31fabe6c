"""What is looked at in a soak, again and again: memory, descriptors and threads of every process, and latencies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import children_of
from benchmarks.soak_app import PAIR

LOG = "es:{soak}:log:5"
"""The stream that is as long as the history."""


@dataclass(frozen=True)
class Facts:
    """One process at one moment."""

    resident_kib: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Sample:
    """Everything at one moment.

    Attributes:
        at_s: Seconds since the beginning.
        processes: What each process used, by its name.
        redis_kib: What Redis says that it uses.
        events: How many events there are in the history.
        p50_ms: The median of the latencies since the sample before.
        p99_ms: The 99th percentile of them.
        handled: How many they were.
        workers: The worker processes.
    """

    at_s: float
    processes: dict[str, Facts]
    redis_kib: int
    events: int
    p50_ms: float
    p99_ms: float
    handled: int
    workers: tuple[int, ...] = ()


class Sampler:
    """Takes samples.

    Args:
        pids: The processes by their names.
        supervisor: The one whose children are the workers.
        client: A client of Redis.
        latencies: The file that handlers note latencies in.
    """

    def __init__(self, pids: dict[str, int], supervisor: int, client: Any, latencies: Path) -> None:
        self._pids = pids
        self._supervisor = supervisor
        self._client = client
        self._latencies = latencies.open("rb")

    def sample(self, at_s: float) -> Sample:
        """Return how it stands."""
        noted = self._latencies.read()
        whole = noted[: len(noted) // PAIR.size * PAIR.size]
        self._latencies.seek(len(whole) - len(noted), os.SEEK_CUR)
        latencies = sorted(seconds for _, seconds in PAIR.iter_unpack(whole))
        workers = tuple(sorted(children_of(self._supervisor)))
        pids = self._pids | {f"worker {number}": pid for number, pid in enumerate(workers, 1)}
        return Sample(
            at_s,
            {name: facts for name, pid in pids.items() if (facts := facts_of(pid)) is not None},
            self._client.info("memory")["used_memory"] // 1024,
            self._client.xlen(LOG),
            1000 * _percentile(latencies, 0.50),
            1000 * _percentile(latencies, 0.99),
            len(latencies),
            workers,
        )


def facts_of(pid: int) -> Facts | None:
    """Return what a process uses now; None where it has gone."""
    try:
        return _facts_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None


def _facts_of(pid: int) -> Facts:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return Facts(
        int(status["VmRSS"].split()[0]),
        sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        int(status["Threads"]),
    )


def _percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0
