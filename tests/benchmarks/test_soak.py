"""The soak, in short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak_report import SoakReport
from benchmarks.soak_samples import Facts, Sample


def test_a_short_soak_measures_every_process(tmp_path: Path) -> None:
    report = tmp_path / "soak.md"
    command = [sys.executable, "-m", "benchmarks.soak", "--smoke", "--report", str(report)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    text = report.read_text()
    for name in ("supervisor", "worker 1", "worker 2", "scheduler", "publisher", "Redis"):
        assert f"| {name}, memory (MiB) |" in text


def samples_that(grow: float) -> list[Sample]:
    return [
        Sample(at, {"worker": Facts(int(100_000 * (1 + grow * at / 100)), 20, 12)}, 5_000, 100, 2.0, 9.0, 50)
        for at in range(100)
    ]


@pytest.mark.parametrize(("grow", "faults"), [(0.0, 0), (0.02, 0), (0.10, 1)])
def test_memory_that_grows_is_told_of(grow: float, faults: int) -> None:
    report = SoakReport("soak", samples_that(grow), "7.0.15")
    assert len(report.faults) == faults
    assert ("**Flat.**" in report.text()) == (faults == 0)
