"""What is looked at in a soak, again and again: memory, descriptors and threads of every process, and latencies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import children_of, cpu_seconds
from benchmarks.soak_app import PAIR

PREFIX = "es:{soak}"
"""How the names of the keys of the soak's bus begin."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


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
        latencies: Those noted since the sample before, in seconds.
        others: What share of the machine's processor time since then was used by what is no part of the soak.
        workers: The worker processes.
    """

    at_s: float
    processes: dict[str, Facts]
    redis_kib: int
    events: int
    latencies: Sequence[float]
    others: float = 0.0
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
        self._processor = _processor_seconds()

    def sample(self, at_s: float) -> Sample:
        """Return how it stands."""
        workers = tuple(sorted(children_of(self._supervisor)))
        pids = self._pids | {f"worker {number}": pid for number, pid in enumerate(workers, 1)}
        return Sample(
            at_s,
            {name: facts for name, pid in pids.items() if (facts := facts_of(pid)) is not None},
            self._client.info("memory")["used_memory"] // 1024,
            self._client.xlen(f"{PREFIX}:log:5"),
            self._noted(),
            self._share_of_others(),
            workers,
        )

    def _noted(self) -> list[float]:
        noted = self._latencies.read()
        whole = noted[: len(noted) // PAIR.size * PAIR.size]
        self._latencies.seek(len(whole) - len(noted), os.SEEK_CUR)
        return [seconds for _, seconds in PAIR.iter_unpack(whole)]

    def _share_of_others(self) -> float:
        before, self._processor = self._processor, _processor_seconds()
        all_s, busy_s, own_s = (after - earlier for after, earlier in zip(self._processor, before, strict=True))
        return max(0.0, busy_s - own_s) / all_s if all_s else 0.0


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


def percentile(latencies: Sequence[float], share: float) -> float:
    """Return the latency in ms that so large a share of them does not exceed; 0 where there are none."""
    ordered = sorted(latencies)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _processor_seconds() -> tuple[float, float, float]:
    """Return seconds of all processors so far: all, busy ones, and those of this process and what it began."""
    user, nice, system, idle, iowait, *rest = (
        int(ticks) / _TICKS_PER_SECOND for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    busy = user + nice + system + sum(rest)
    return busy + idle + iowait, busy, cpu_seconds(os.getpid())
