"""When a soak is flat: the rule, and what breaks it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.soak_samples import Sample, percentile

MOST_GROWTH = 0.015
"""By what share memory may grow from the median of the second part to that of the last: 2 % after the warm-up, since
three fifths of the time lie between the medians, and four behind the warm-up."""

MOST_DRIFT = 0.20
"""By what share the 99th percentile of latencies may rise; when it falls by more, it is not judged."""

LEAST_LATENCIES = 1_000
"""Of fewer in a fifth no 99th percentile is told: it would be one of the ten largest."""

LEAST_KEPT = 0.95
"""Of the events that were to be published, what share has to be handled in the parts that are compared."""

PARTS = 5
"""The first of so many equal parts of a soak is its warm-up; the second is compared with the last."""

RULE = """\
The time is parted into fifths. The first is the warm-up, the second is compared with the last. A soak is flat when all
of this holds:

- **Memory.** Of the resident memory of each process and of Redis, and of what Redis says that it uses, the median of
  the last fifth is over that of the second by 1.5 % at most. Three fifths of the time lie between these, and four
  behind the warm-up, so that is 2 % after the warm-up. Nothing is taken off for what is known to grow.
- **Descriptors and threads** of each process: the median of the last fifth is not over that of the second.
- **Latency**, from before `publish` to inside the handler: all that were measured in a fifth are put together, at least
  1,000, and the 99th percentile of the last fifth is over that of the second by 20 % at most. Where that of the second
  is over that of the last by more than 20 %, it was disturbed, and would hide a rise: then the latency is not judged,
  and the soak is not called flat.
- **The load was there.** In both fifths at least 95 % of what was to be published in the time was handled, and no
  worker process ended.

The share of the processors that others used stands beside the latencies. It excuses nothing."""


class Change(NamedTuple):
    """What became of a figure."""

    early: float
    late: float

    @property
    def share(self) -> float:
        """By what share it changed."""
        return (self.late - self.early) / self.early if self.early else 0.0


class Verdict:
    """What the samples of a soak come to.

    Args:
        samples: All of them, in their order.
        rate: Events that were to be published a second; None: as many as were, for a soak too short to say.

    Attributes:
        parts: The samples of each fifth.
        changes: For each thing that was looked at, what it was early and late.
        faults: What breaks the rule.
        unjudged: What could not be judged.
    """

    def __init__(self, samples: Sequence[Sample], rate: float | None) -> None:
        size = max(1, len(samples) // PARTS)
        # What does not go into equal parts belongs to the warm-up.
        first = max(0, len(samples) - (PARTS - 1) * size)
        starts = [0, *(first + part * size for part in range(PARTS - 1)), len(samples)]
        self.parts = [samples[start:end] or samples for start, end in itertools.pairwise(starts)]
        self.changes: dict[str, Change] = {}
        self.faults: list[str] = []
        self.unjudged: list[str] = []
        self._compare_processes(samples)
        self._compare_latencies()
        if rate is not None:
            self._compare_load(samples, rate)
        if len({one.workers for one in samples}) > 1:
            self.faults.append("worker processes ended, and were replaced")

    def text(self) -> str:
        """Return it in a word or two."""
        if self.faults:
            return "Not flat."
        return "Not flat in all: latency is not judged." if self.unjudged else "Flat."

    def latencies_of(self, part: int) -> list[float]:
        """Return all latencies of a fifth, counted from 0."""
        return [latency for one in self.parts[part] for latency in one.latencies]

    def _compare_processes(self, samples: Sequence[Sample]) -> None:
        for name in names_in(samples):
            self._compare(f"{name}, memory (MiB)", lambda one, name=name: one.processes[name].resident_kib / 1024)
            self._compare(f"{name}, descriptors", lambda one, name=name: one.processes[name].descriptors)
            self._compare(f"{name}, threads", lambda one, name=name: one.processes[name].threads)
        self._compare("Redis, used memory (MiB)", lambda one: one.redis_kib / 1024)
        self._compare("events in the history", lambda one: one.events)
        for name, change in self.changes.items():
            if change.share > _allowed(name):
                self.faults.append(f"{name} changed by {100 * change.share:+.1f} %")

    def _compare(self, name: str, figure: Callable[[Sample], float]) -> None:
        early, late = (statistics.median(figure(one) for one in self.parts[part]) for part in (1, -1))
        self.changes[name] = Change(early, late)

    def _compare_latencies(self) -> None:
        early, late = self.latencies_of(1), self.latencies_of(-1)
        for name, share in (("p50", 0.50), ("p99", 0.99)):
            self.changes[f"latency, {name} (ms)"] = Change(percentile(early, share), percentile(late, share))
        p99 = self.changes["latency, p99 (ms)"]
        if min(len(early), len(late)) < LEAST_LATENCIES:
            self.unjudged.append(f"latency: there were fewer than {LEAST_LATENCIES:,} in one of the parts compared")
        elif p99.late > p99.early * (1 + MOST_DRIFT):
            self.faults.append(f"latency, p99 (ms) changed by {100 * p99.share:+.1f} %")
        elif p99.early > p99.late * (1 + MOST_DRIFT):
            self.unjudged.append(f"latency: p99 fell by {-100 * p99.share:.1f} %, so the early part was disturbed")

    def _compare_load(self, samples: Sequence[Sample], rate: float) -> None:
        interval = (samples[-1].at_s - samples[0].at_s) / max(1, len(samples) - 1)
        early, late = (len(self.latencies_of(part)) / max(1e-9, len(self.parts[part]) * interval) for part in (1, -1))
        self.changes["events handled each second"] = Change(early, late)
        if min(early, late) < LEAST_KEPT * rate:
            self.faults.append(f"{min(early, late):.1f} events were handled each second, of {rate:g} to be published")


def names_in(samples: Sequence[Sample]) -> list[str]:
    """Return the names of the processes that were there all the time."""
    return [name for name in samples[0].processes if all(name in one.processes for one in samples)]


def _allowed(name: str) -> float:
    if "memory" in name:
        return MOST_GROWTH
    return 0.0 if name.endswith(("descriptors", "threads")) else float("inf")
