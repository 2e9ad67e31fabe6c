"""The storm of the suite: twenty seconds of everything, the same verdict as by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest

SEED = 20_264


@pytest.mark.timeout(400)
def test_in_twenty_seconds_of_everything_nothing_is_lost_or_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.chaos --minutes 30` does more of it; what is handled twice has its reason."""
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "0.3", "--seed", str(SEED)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    with capsys.disabled():
        print("\n" + run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.timeout(400)
def test_who_lives_keeps_its_work_when_redis_was_away_for_longer_than_a_lease(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Work goes on within 5 s; how long this waits for it allows for a machine that does much else."""
    command = [sys.executable, "-m", "tests.chaos", "away", "--seconds", "16", "--workers", "3", "--seed", str(SEED)]
    command += ["--rate", "100", "--longest-resuming", "30"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    with capsys.disabled():
        print("\n" + run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
