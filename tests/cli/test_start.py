"""How the command line starts."""

from __future__ import annotations

import resource
import subprocess
import sys

from tests.quality.tree import ROOT

HEAVY = ("pydantic", "redis", "dramatiq", "msgspec", "periodiq", "watchdog")

# Measured 1.2. With everything imported that a running command needs it would be about 3.
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


def test_help_takes_hardly_more_work_than_the_library_that_prints_it() -> None:
    """Counted in the processor's time, which a busy machine does not lengthen, and in turns."""
    starts = [(_work_s("-m", "eventsys", "--help"), _work_s("-c", "import typer.rich_utils")) for _ in range(5)]
    ours, its = zip(*starts, strict=True)
    assert min(ours) < MOST_TIMES * min(its)


def test_every_command_is_listed_with_what_it_does() -> None:
    said = _output("-m", "eventsys", "--help")
    assert all(f" {name} " in said for name in ("demo", "worker", "publish", "version"))


def _work_s(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _output(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _output(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=110
    )
    return done.stdout
