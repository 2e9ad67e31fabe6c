"""How the command line starts."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from tests.quality.tree import ROOT

HEAVY = ("pydantic", "redis", "dramatiq", "msgspec", "periodiq", "watchdog")

# Measured 1.2 to 1.5. With everything imported that a running command needs it would be about 3.
MOST_TIMES = 2


@pytest.mark.parametrize("typed", ["", "events", "events ls", "publish", "dead redrive", "dev", "schema diff"])
def test_help_loads_nothing_that_only_running_a_command_needs(typed: str) -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from eventsys.cli.commands import app\n"
        f"assert CliRunner().invoke(app, [*{typed.split()}, '--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    assert _output("-c", program) == "[]\n"


@pytest.mark.parametrize("typed", ["", "events ls", "publish"])
def test_help_takes_hardly_more_work_than_the_library_that_prints_it(typed: str) -> None:
    """Counted in the processor's time, which a busy machine does not lengthen, and in turns."""
    help_of = ("-m", "eventsys", *typed.split(), "--help")
    starts = [(_work_s(*help_of), _work_s("-c", "import typer.rich_utils")) for _ in range(5)]
    ours, its = zip(*starts, strict=True)
    assert min(ours) < MOST_TIMES * min(its)


def test_only_the_commands_of_the_family_that_is_asked_for_are_made_ready() -> None:
    """To make a command ready is to read the types of all its options: half a millisecond each."""
    program = (
        "import typer.main\n"
        "made, make = [], typer.main.get_command_from_info\n"
        "typer.main.get_command_from_info = lambda command_info, **more: made.append(command_info) or make(\n"
        "    command_info=command_info, **more)\n"
        "from typer.testing import CliRunner\n"
        "from eventsys.cli.commands import COMMANDS, app, subs\n"
        "assert CliRunner().invoke(app, ['subs', 'ls', '--help']).exit_code == 0\n"
        "print(len(made) == len(COMMANDS) + len(subs.registered_commands))\n"
    )
    assert _output("-c", program) == "True\n"


def test_a_command_that_is_misspelled_is_told_those_of_its_family() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eventsys", "cron", "histroy"], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert (done.returncode, "'history'" in done.stderr) == (2, True)


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
