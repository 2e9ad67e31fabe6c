"""What a soak has to say: whether anything grows, and the figures over time."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence

from benchmarks.soak_samples import Sample

MOST_GROWTH = 0.02
"""By what share memory may grow after the warm-up."""

MOST_DRIFT = 0.20
"""By what share the 99th percentile of latencies may differ."""

PARTS = 5
"""The first of so many equal parts of a soak is its warm-up; the second is compared with the last."""

_ROWS = 30


class SoakReport:
    """The report of a soak.

    Attributes:
        changes: For each thing that was looked at, its median early and late, and by what share it changed.
        faults: What changed by more than it may.
    """

    def __init__(self, command: str, samples: Sequence[Sample], redis_version: str) -> None:
        self._command = command
        self._samples = samples
        self._redis_version = redis_version
        names = [name for name in samples[0].processes if all(name in one.processes for one in samples)]
        self.changes: dict[str, tuple[float, float, float]] = {}
        for name in names:
            self._compare(f"{name}, memory (MiB)", lambda one, name=name: one.processes[name].resident_kib / 1024)
            self._compare(f"{name}, descriptors", lambda one, name=name: one.processes[name].descriptors)
            self._compare(f"{name}, threads", lambda one, name=name: one.processes[name].threads)
        self._compare("Redis, used memory (MiB)", lambda one: one.redis_kib / 1024)
        self._compare("events in the history", lambda one: one.events)
        self._compare("latency, p50 (ms)", lambda one: one.p50_ms)
        self._compare("latency, p99 (ms)", lambda one: one.p99_ms)
        self._compare("events handled each second", lambda one: one.handled)
        self.faults = [f"{name} changed by {100 * change:+.1f} %" for name, (_, _, change) in self.changes.items()
                       if change > _allowed(name)]  # fmt: skip

        if len({one.workers for one in samples}) > 1:
            self.faults.append("worker processes ended, and were replaced")

    def _compare(self, name: str, figure: Callable[[Sample], float]) -> None:
        size = max(1, len(self._samples) // PARTS)
        early, late = self._samples[size : 2 * size], self._samples[-size:]
        before = statistics.median(figure(one) for one in early or self._samples)
        after = statistics.median(figure(one) for one in late)
        self.changes[name] = (before, after, (after - before) / before if before else 0.0)

    def text(self) -> str:
        """Return it as Markdown."""
        verdict = "Flat." if not self.faults else "Not flat."
        lines = ["# A soak", "", f"    {self._command}", ""]
        lines.append(f"Python {platform.python_version()}, Redis {self._redis_version}, {os.cpu_count()} cores.")
        lines += ["The second fifth of the time is compared with the last; the first is the warm-up.", ""]
        lines += [f"**{verdict}**", "", *(f"- {fault}" for fault in self.faults), ""]
        lines += ["| what | early | late | change |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {early:,.1f} | {late:,.1f} | {100 * change:+.1f} % |"
            for name, (early, late, change) in self.changes.items()
        ]
        return "\n".join([*lines, "", "## Over time", "", *self._over_time(), ""])

    def _over_time(self) -> list[str]:
        names = [name for name in self._samples[0].processes if all(name in one.processes for one in self._samples)]
        head = ["minute", "p50 ms", "p99 ms", "Redis MiB", *(f"{name} MiB" for name in names), "descriptors", "threads"]
        rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for one in self._samples[:: max(1, len(self._samples) // _ROWS)]:
            facts = [one.processes[name] for name in names]
            figures = [
                f"{one.at_s / 60:.1f}", f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}", f"{one.redis_kib / 1024:.1f}",
                *(f"{each.resident_kib / 1024:.1f}" for each in facts),
                "+".join(str(each.descriptors) for each in facts), "+".join(str(each.threads) for each in facts),
            ]  # fmt: skip
            rows.append(f"| {' | '.join(figures)} |")
        return rows


def _allowed(name: str) -> float:
    if "memory" in name:
        return MOST_GROWTH
    if "p99" in name:
        return MOST_DRIFT
    return 0.0 if name.endswith(("descriptors", "threads")) else float("inf")
