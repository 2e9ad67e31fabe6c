"""The run of CI: fewer kills than by hand, the same verdict."""

from __future__ import annotations

import subprocess
import sys

import pytest

SEED = 20_260


@pytest.mark.timeout(400)
def test_sixty_kills_lose_nothing_and_double_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Every event has one succeeded delivery a subscription, one follow-up and one delayed event, and nothing is left.

    `python -m tests.chaos --kills 200` does more of it, and other faults too.
    """
    command = [sys.executable, "-m", "tests.chaos", "--kills", "60", "--rate", "150", "--seed", str(SEED)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    with capsys.disabled():
        print("\n" + run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
