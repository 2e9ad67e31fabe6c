"""Options that several commands have mean the same in all of them."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from eventsys.cli.commands import app
from eventsys.cli.options import confirm

#: Options that are explained in words of their own, and why.
OTHERS = {
    ("--sub", "events replay"): "it names who is given the events",
    ("--sub", "delayed ls"): "it goes with --retries alone",
    ("--limit", "events trace"): "it limits one chain, not a page",
    ("--correlation-id", "publish"): "it is given to an event, not asked for",
    ("--correlation-id", "events publish"): "as for publish",
    ("--debug", "dev"): "it goes on, and shows the tracebacks of handlers",
}

#: Arguments that let every command get as far as asking Redis.
NEEDED = {"events replay": ["--sub", "ship"], "subs backfill": ["ship"], "cron history": ["nightly"]}


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command with the words that name it."""
    root: Any = group or get_command(app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def options(flag: str) -> dict[str, Any]:
    """Return an option of every command that has it."""
    return {name: one for name, command in commands() for one in command.params if flag in one.opts}


@pytest.mark.parametrize(
    "flag",
    ["--since", "--until", "--type", "--sub", "--limit", "--cursor", "--dry-run", "--yes", "--json", "--debug",
     "--redis-url", "--correlation-id"],
)  # fmt: skip
def test_an_option_is_written_and_explained_the_same_everywhere(flag: str) -> None:
    found = {name: one for name, one in options(flag).items() if (flag, name) not in OTHERS}
    assert len({(tuple(one.opts), one.multiple, one.metavar) for one in options(flag).values()}) == 1
    assert len({one.help for one in found.values()}) == 1


def test_what_drops_or_changes_many_asks_first_and_can_be_tried() -> None:
    asking, trying = set(options("--yes")), set(options("--dry-run"))
    assert trying <= asking
    assert asking - trying == {"cron delete", "subs delete"}  # of one thing, that is named


@pytest.mark.parametrize("name", sorted(options("--since")))
def test_since_takes_durations_and_dates_and_refuses_the_rest_everywhere(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSYS_REDIS_URL", "redis://127.0.0.1:1")
    for since, code in (("2h", 1), ("7d", 1), ("2026-11-25T08:00", 1), ("3x", 2)):
        extra = ["--to", "/dev/null"] if name == "events export" else []
        extra += (
            ["--dry-run"] if "--dry-run" in {flag for one in dict(commands())[name].params for flag in one.opts} else []
        )
        result = CliRunner().invoke(app, [*name.split(), *NEEDED.get(name, ()), *extra, "--since", since])
        assert (result.exit_code, result.stderr.count("\n")) == (code, 1), result.stderr


def test_nobody_can_be_asked_where_standard_input_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python has no object for it then, as after `<&-` in a shell; asking that was an error of its own."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(typer.Exit) as ended:
        confirm("Drop it?", yes=False)
    assert ended.value.exit_code == 2
    assert "There is nobody to ask here; say --yes to do it, or --dry-run to see" in capsys.readouterr().err
    confirm("Drop it?", yes=True)


class Terminal(io.StringIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


def test_a_question_is_no_part_of_what_a_program_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stood before the JSON on standard output, where the person at the terminal had that go elsewhere."""
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    confirm("Drop it?", yes=False)
    said = capsys.readouterr()
    assert said.out.strip() == ""
    assert said.err == "Drop it? [y/N]:"
