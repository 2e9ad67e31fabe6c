"""The soak, in short, and the rule by which it is judged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.soak_keys import Family, Look, family_of
from benchmarks.soak_report import SoakReport
from benchmarks.soak_samples import Facts, Sample
from benchmarks.soak_verdict import Verdict

#: Events a second, and seconds between samples.
RATE, EVERY = 40.0, 10.0


def test_a_short_soak_measures_every_process_and_every_family_of_keys(tmp_path: Path) -> None:
    report = tmp_path / "soak.md"
    command = [sys.executable, "-m", "benchmarks.soak", "--smoke", "--report", str(report)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    text = report.read_text()
    for name in ("supervisor", "worker 1", "worker 2", "scheduler", "publisher", "Redis"):
        assert f"| {name}, memory (MiB) |" in text
    for family in ("log:5", "log:cron", "event:*", "chain:*", "type:*"):
        assert f"| `{family}` |" in text


def samples_that(
    *, grow: float = 0.0, latency: Callable[[int], float] = lambda at: 0.009, handled: float = RATE
) -> list[Sample]:
    """Return a hundred samples of a process that grows by a share in all, with latencies as given for each."""
    return [
        Sample(
            EVERY * at, {"worker": Facts(int(100_000 * (1 + grow * at / 100)), 20, 12)}, 5_000, 100,
            [latency(at)] * int(handled * EVERY),
        )
        for at in range(1, 101)
    ]  # fmt: skip


def verdict_on(samples: list[Sample]) -> tuple[str, int]:
    verdict = Verdict(samples, RATE)
    return verdict.text(), len(verdict.faults)


@pytest.mark.parametrize(
    ("grow", "told"), [(0.0, ("Flat.", 0)), (0.024, ("Flat.", 0)), (0.027, ("Not flat.", 1)), (0.1, ("Not flat.", 1))]
)
def test_memory_may_grow_by_two_percent_in_the_four_fifths_after_the_warm_up(
    grow: float, told: tuple[str, int]
) -> None:
    assert verdict_on(samples_that(grow=grow)) == told


def test_a_99th_percentile_that_rises_by_more_than_a_fifth_is_a_fault() -> None:
    assert verdict_on(samples_that(latency=lambda at: 0.0100 if at > 80 else 0.009)) == ("Flat.", 0)
    assert verdict_on(samples_that(latency=lambda at: 0.0110 if at > 80 else 0.009)) == ("Not flat.", 1)


def test_a_slow_early_part_is_no_proof_of_flatness() -> None:
    disturbed = samples_that(latency=lambda at: 0.050 if 20 < at <= 40 else 0.009)
    assert verdict_on(disturbed) == ("Not flat in all: latency is not judged.", 0)


def test_what_the_warm_up_took_does_not_count() -> None:
    assert verdict_on(samples_that(latency=lambda at: 5.0 if at <= 20 else 0.009)) == ("Flat.", 0)


def test_a_99th_percentile_of_few_is_not_judged_and_a_load_that_was_not_there_is_a_fault() -> None:
    verdict = Verdict(samples_that(handled=1.0), RATE)
    assert verdict.unjudged
    assert verdict.faults == ["1.0 events were handled each second, of 40 to be published"]


def test_the_report_tells_what_grew_in_redis_by_families() -> None:
    looks = [
        Look(60.0 * at, {"log:cron": Family(1, 100 * at, 10_240 * at)}, {"clients": 2_048}, 20_480 * at)
        for at in range(1, 6)
    ]
    text = SoakReport("soak", samples_that(), looks, "7.0.15", RATE).text()
    assert "| `log:cron` | 1 → 1 | 200 → 500 | 20.0 → 50.0 | +30.0 | 10,000 events, reached in five minutes |" in text
    assert "| **all that Redis uses** | | | 40.0 → 100.0 | +60.0 | |" in text
    assert "| nothing of these | | | 18.0 → 48.0 | +30.0 | |" in text


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("event:0192", "event:*"),
        ("chain:cron:each-second:by-hand-1", "chain:cron:*"),
        ("type:cron.task.executed", "type:cron.*"),
        ("type:soak.due", "type:*"),
        ("dead", "dead"),
        ("log:cron", "log:cron"),
    ],
)
def test_keys_of_one_kind_are_one_family(name: str, family: str) -> None:
    assert family_of(name) == family
