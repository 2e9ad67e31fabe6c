"""What the help of commands ends with, and that every terminal can show it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from typer.main import get_command

from eventsys import EventService
from eventsys.cli import cron, dead, delayed, events, queues, replays, subs, workers
from eventsys.cli.commands import app
from eventsys.cli.examples import EXAMPLES
from eventsys.cli.printing import Column, print_table
from tests.quality.tree import ROOT


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command with the words that name it."""
    root: Any = group or get_command(app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == {name for name, _ in commands()}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_is_understood(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.json").write_text("{}")
    command = dict(commands())[name]
    for example in EXAMPLES[name]:
        typed = [word for word in shlex.split(example) if "=" not in word.partition("'")[0] or word.startswith("-")]
        assert typed[: 1 + len(name.split())] == ["eventsys", *name.split()]
        command.make_context(name, typed[1 + len(name.split()) :], parent=typer.Context(get_command(app)))
        assert example in command.epilog


@pytest.mark.parametrize("columns", ["50", "80"])
@pytest.mark.parametrize("arguments", [[], ["events", "ls"], ["publish"], ["dead", "redrive"]], ids=" ".join)
def test_help_is_shown_where_the_output_has_only_ascii(arguments: list[str], columns: str) -> None:
    environ = {**os.environ, "COLUMNS": columns, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(
        [sys.executable, "-m", "eventsys", *arguments, "--help"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert shown.stdout.isascii()


def test_json_says_the_same_where_the_output_has_only_ascii(events: EventService) -> None:
    event = events.publish("order.paid", {"customer": "Zoë 🙂"})
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    show = [sys.executable, "-m", "eventsys", "events", "show", event.id, "--json"]
    shown = subprocess.run(show, cwd=ROOT, env=environ, capture_output=True, check=True)
    assert shown.stdout.isascii()
    assert "Zoë 🙂" in json.dumps(json.loads(shown.stdout), ensure_ascii=False)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have tables believe that they are printed in a terminal of so many columns."""

    def of(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")

    return of


COLUMNS = (
    Column("ID", lambda row: row[0], is_whole=True),
    Column("STATUS", lambda row: row[1]),
    Column("SOURCE", lambda row: row[2]),
    Column("ERROR", lambda row: row[3]),
)
ROWS = [("01a21331-ca2c-7ce9-b173-735349f1d408", "delivered", "", "-"), ("2", "failed", "", "a word " * 9)]


def test_a_terminal_wide_enough_gets_a_table_without_empty_columns(
    terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(100)
    print_table(COLUMNS, ROWS, caption="2 of 2")
    said = capsys.readouterr().out
    assert "SOURCE" not in said
    assert [line for line in said.splitlines() if ROWS[0][0] in line and "delivered" in line]


@pytest.mark.parametrize(
    ("table", "copied"),
    [
        (dead._COLUMNS, "ID"), (queues._COLUMNS, "QUEUE"), (events._COLUMNS, "ID"), (delayed._EVENTS, "ID"),
        (delayed._RETRIES, "EVENT"), (cron._TASKS, "NAME"), (subs._COLUMNS, "NAME"), (replays._COLUMNS, "ID"),
        (workers._columns(datetime.now(UTC)), "NAME"),
    ],
)  # fmt: skip
def test_what_the_next_command_is_given_is_never_broken_into_lines(table: tuple[Column, ...], copied: str) -> None:
    assert [one.is_whole for one in table if one.title == copied] == [True]


def test_a_terminal_too_narrow_gets_names_and_values_and_no_word_is_broken(
    terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(50)
    print_table(COLUMNS, ROWS, caption="2 of 2")
    said = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert f"ID      {ROWS[0][0]}\nSTATUS  delivered\n\nID      2\nSTATUS  failed\nERROR   a word" in said
    assert said.endswith("2 of 2\n")
