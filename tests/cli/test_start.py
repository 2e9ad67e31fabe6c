"""How the command line starts."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.quality.tree import ROOT

HEAVY = ("pydantic", "redis", "dramatiq", "msgspec", "periodiq", "watchdog")

# Measured 1.2. With everything imported that a running command needs it would be 3 to 4.
MOST_TIMES = 2


def test_help_loads_nothing_that_only_running_a_command_needs() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from eventsys.cli.commands import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    assert _output("-c", program) == "[]\n"


def test_help_takes_hardly_longer_than_the_library_that_prints_it() -> None:
    """Measured in turns, so that a busy machine slows both."""
    starts = [(_seconds("-m", "eventsys", "--help"), _seconds("-c", "import typer.rich_utils")) for _ in range(5)]
    ours, its = zip(*starts, strict=True)
    assert min(ours) < MOST_TIMES * min(its)


def test_every_command_is_listed_with_what_it_does() -> None:
    said = _output("-m", "eventsys", "--help")
    assert all(f" {name} " in said for name in ("demo", "worker", "publish", "version"))


def _seconds(*arguments: str) -> float:
    began_at = time.perf_counter()
    _output(*arguments)
    return time.perf_counter() - began_at


def _output(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout
