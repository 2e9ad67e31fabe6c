"""JSON that commands are given on standard input, and what is said where that is none."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator

import pytest
import typer
from typer.testing import CliRunner

from eventsys import EventService
from eventsys.cli.commands import app
from eventsys.cli.json_given import json_given

CREATE = ("cron", "create", "reports", "--schedule", "@daily")
PUBLISHES = (*CREATE, "--publish", "report.due", "--payload", "-")


def test_the_payload_of_a_task_may_be_on_stdin(events: EventService, run: Callable[..., str]) -> None:
    run(*PUBLISHES, stdin='{"days": 7}\n')
    assert events.cron.get("reports").payload == {"days": 7}
    large = {"rows": ["é" * 1_000] * 100}
    run("cron", "update", "reports", "--payload", "-", stdin=json.dumps(large, ensure_ascii=False))
    assert events.cron.get("reports").payload == large


def test_what_an_actor_is_given_may_be_on_stdin(events: EventService, run: Callable[..., str]) -> None:
    run(*CREATE, "--actor", "tidy", "--actor-args", "-", "--actor-kwargs", '{"deep": true}', stdin='["north", 7]')
    run("cron", "update", "reports", "--actor-kwargs", "-", stdin='{"deep": false}')
    task = events.cron.get("reports")
    assert (task.actor_args, task.actor_kwargs) == (("north", 7), {"deep": False})


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (PUBLISHES, '{\n "a":', "the payload is no JSON: Expecting value at line 2, column 6; it was read from stand"),
        (PUBLISHES, " \n", "the payload is no JSON: Expecting value at line 2, column 1; it is empty"),
        (PUBLISHES, "[1]", "the payload is a JSON object, such as '{\"days\": 7}'"),
        (PUBLISHES, b'{"a": "\xff"}', "the payload on standard input is no UTF-8: byte 7 cannot be read"),
        (PUBLISHES, "[" * 100_000, "the payload is nested too deeply"),
        ((*CREATE, "--actor", "a", "--actor-args", "-"), "{}", "what the actor is given is a JSON list"),
        ((*PUBLISHES, "--actor-kwargs", "-"), "{}", "standard input has one thing, and --payload and --actor-kwargs"),
        (("publish", "order.paid", "-"), "{", "it was read from standard input"),
    ],
)
def test_what_on_stdin_is_no_json_is_told_in_one_sentence(
    events: EventService, arguments: tuple[str, ...], stdin: str | bytes, said: str
) -> None:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert events.cron.list().total == 0


@pytest.fixture
def terminal() -> Iterator[io.TextIOBase]:
    """Standard input where nobody types."""
    ours, theirs = os.openpty()
    with open(theirs, encoding="utf-8") as opened:  # noqa: PTH123 - a descriptor
        yield opened
    os.close(ours)


def test_a_terminal_is_not_waited_for(
    terminal: io.TextIOBase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stdin in (terminal, None):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(typer.Exit) as ended:
            json_given("the payload", "-", "{}")
        assert ended.value.exit_code == 2
        assert "nothing is piped to it; add < FILE" in capsys.readouterr().err
