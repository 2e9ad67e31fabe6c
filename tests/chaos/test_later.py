"""The run of CI for what is due later: short, every kind of fault, the same verdict as by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest

SEED = 20_261


@pytest.mark.timeout(400)
def test_whatever_is_killed_nothing_due_later_is_lost_doubled_or_early(capsys: pytest.CaptureFixture[str]) -> None:
    """The first worker's clock is five minutes wrong; `python -m tests.chaos later --help` tells of longer runs."""
    command = [sys.executable, "-m", "tests.chaos", "later", "--seconds", "14", "--seed", str(SEED)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    with capsys.disabled():
        print("\n" + run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
