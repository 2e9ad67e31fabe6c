"""What a soak has to say: whether anything grows, and the figures over time."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.soak_keys import BOUNDS, NONE, Family, Look
from benchmarks.soak_samples import Sample, percentile
from benchmarks.soak_verdict import RULE, Verdict, names_in

_ROWS = 30

#: Families that take less, early and late, are told of together.
_SMALL_KIB = 4


class SoakReport:
    """The report of a soak.

    Args:
        command: How it was called.
        samples: What was seen.
        looks: What Redis held, in the middle of each fifth; none, where nobody looked.
        redis_version: Of the server.
        rate: Events that were to be published a second; None: a soak that is too short to say.
    """

    def __init__(
        self,
        command: str,
        samples: Sequence[Sample],
        looks: Sequence[Look],
        redis_version: str,
        rate: float | None = None,
    ) -> None:
        self.verdict = Verdict(samples, rate)
        self._command = command
        self._samples = samples
        self._looks = looks
        self._redis_version = redis_version

    def text(self) -> str:
        """Return it as Markdown."""
        verdict = self.verdict
        lines = ["# A soak", "", f"    {self._command}", ""]
        lines += [f"Python {platform.python_version()}, Redis {self._redis_version}, {os.cpu_count()} cores.", ""]
        lines += [f"**{verdict.text()}**", "", *(f"- {one}" for one in [*verdict.faults, *verdict.unjudged]), ""]
        lines += ["| what | early | late | change |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {change.early:,.1f} | {change.late:,.1f} | {100 * change.share:+.1f} % |"
            for name, change in verdict.changes.items()
        ]
        lines += ["", "## The rule", "", RULE, "", "## Latency, by fifths", "", *self._by_fifths(), ""]
        if len(self._looks) >= 2:
            lines += ["## What Redis held", "", *self._by_family(), ""]
        return "\n".join([*lines, "## Over time", "", *self._over_time(), ""])

    def _by_fifths(self) -> Iterator[str]:
        head = ["minutes", "measured", "p50 ms", "p99 ms", "p99.9 ms", "slowest ms", "p99 of its minutes, ms"]
        yield from _head([*head, "processors used by others"])
        began_s = 0.0
        for part, samples in enumerate(self.verdict.parts):
            latencies = self.verdict.latencies_of(part)
            shares = [f"{percentile(latencies, share):,.1f}" for share in (0.50, 0.99, 0.999, 1.0)]
            minutes = _p99_of_minutes(samples)
            spread = f"{min(minutes):,.1f} to {max(minutes):,.1f}" if minutes else ""
            others = statistics.mean(one.others for one in samples)
            ended_s = samples[-1].at_s
            yield (
                f"| {began_s / 60:.1f} to {ended_s / 60:.1f} | {len(latencies):,} | {' | '.join(shares)} "
                f"| {spread} | {100 * others:.1f} % |"
            )
            began_s = ended_s

    def _by_family(self) -> Iterator[str]:
        early, late = self._looks[min(1, len(self._looks) - 2)], self._looks[-1]
        minutes = f"minute {early.at_s / 60:.1f} and minute {late.at_s / 60:.1f}"
        yield f"By families of keys, in {minutes}: two moments, where the verdict is about medians."
        yield ""
        yield from _head(["keys", "how many", "in them", "KiB", "change, KiB", "bounded by"])
        rest = [NONE, NONE]
        names = {*early.families, *late.families}
        for name in sorted(names, key=lambda name: -late.families.get(name, NONE).bytes):
            before, after = early.families.get(name, NONE), late.families.get(name, NONE)
            if max(before.bytes, after.bytes) < _SMALL_KIB * 1024:
                rest = [rest[0].plus(before), rest[1].plus(after)]
            else:
                yield _row(f"`{name}`", before, after, BOUNDS.get(name, "what is declared"))
        yield _row("all others", rest[0], rest[1], "what is declared")
        for name in early.others:
            yield _bytes_row(name, early.others[name], late.others[name])
        left = [
            look.used_bytes - sum(look.others.values()) - sum(one.bytes for one in look.families.values())
            for look in (early, late)
        ]
        yield _bytes_row("nothing of these", *left)
        yield _bytes_row("**all that Redis uses**", early.used_bytes, late.used_bytes)

    def _over_time(self) -> Iterator[str]:
        names = names_in(self._samples)
        head = ["minute", "p50 ms", "p99 ms", "others", "Redis used MiB", *(f"{name} MiB" for name in names)]
        head += ["descriptors", "threads"]
        yield from _head(head)
        step = max(1, len(self._samples) // _ROWS)
        for start in range(0, len(self._samples), step):
            those = self._samples[start : start + step]
            last, latencies = those[-1], [latency for one in those for latency in one.latencies]
            facts = [last.processes[name] for name in names]
            figures = [
                f"{last.at_s / 60:.1f}", f"{percentile(latencies, 0.50):.1f}", f"{percentile(latencies, 0.99):.1f}",
                f"{100 * statistics.mean(one.others for one in those):.0f} %", f"{last.redis_kib / 1024:.1f}",
                *(f"{each.resident_kib / 1024:.1f}" for each in facts),
                "+".join(str(each.descriptors) for each in facts), "+".join(str(each.threads) for each in facts),
            ]  # fmt: skip
            yield f"| {' | '.join(figures)} |"


def _p99_of_minutes(samples: Sequence[Sample]) -> list[float]:
    minutes: dict[int, list[float]] = {}
    for one in samples:
        # A sample tells of the time before it.
        minutes.setdefault(int((one.at_s - 1e-3) // 60), []).extend(one.latencies)
    return [percentile(latencies, 0.99) for latencies in minutes.values() if latencies]


def _head(names: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]


def _row(name: str, before: Family, after: Family, bound: str) -> str:
    keys, entries = f"{before.keys:,} → {after.keys:,}", f"{before.entries:,} → {after.entries:,}"
    return f"| {name} | {keys} | {entries} | {_sizes(before.bytes, after.bytes)} | {bound} |"


def _bytes_row(name: str, before: int, after: int) -> str:
    return f"| {name} | | | {_sizes(before, after)} | |"


def _sizes(before: int, after: int) -> str:
    return f"{before / 1024:,.1f} → {after / 1024:,.1f} | {(after - before) / 1024:+,.1f}"
