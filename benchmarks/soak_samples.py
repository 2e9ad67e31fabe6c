"""What is looked at in a soak, again and again: memory, descriptors and threads of every process, and latencies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soak_app import PAIR


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
    """

    at_s: float
    processes: dict[str, Facts]
    redis_kib: int
    events: int
    p50_ms: float
    p99_ms: float
    handled: int


class Sampler:
    """Takes samples.

    Args:
        pids: The processes by their names.
        client: A client of Redis.
        log: The stream whose length is that of the history.
        latencies: The file that handlers note latencies in.
    """

    def __init__(self, pids: dict[str, int], client: Any, log: str, latencies: Path) -> None:
        self._pids = pids
        self._client = client
        self._log = log
        self._latencies = latencies.open("rb")

    def sample(self, at_s: float) -> Sample:
        """Return how it stands."""
        noted = self._latencies.read()
        whole = noted[: len(noted) // PAIR.size * PAIR.size]
        self._latencies.seek(len(whole) - len(noted), os.SEEK_CUR)
        latencies = sorted(seconds for _, seconds in PAIR.iter_unpack(whole))
        return Sample(
            at_s,
            {name: facts_of(pid) for name, pid in self._pids.items()},
            self._client.info("memory")["used_memory"] // 1024,
            self._client.xlen(self._log),
            1000 * _percentile(latencies, 0.50),
            1000 * _percentile(latencies, 0.99),
            len(latencies),
        )


def facts_of(pid: int) -> Facts:
    """Return what a process uses now."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return Facts(
        int(status["VmRSS"].split()[0]),
        sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        int(status["Threads"]),
    )


def _percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0
