"""`eventsys cron`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from eventsys import CronRun, CronTask, EventService, Page, Priority
from eventsys.cli.commands import app
from eventsys.cli.cron import cron
from eventsys.model.cron_task import CronDefinition

Run = Callable[..., str]

CREATE = ("cron", "create", "reports", "--schedule", "0 6 * * *", "--publish", "report.due")


def test_a_task_is_created_changed_paused_resumed_and_deleted(events: EventService, run: Run) -> None:
    given = ("--timezone", "Europe/Berlin", "--overlap", "allow", "--catch-up", "1h", "--payload", '{"days": 7}')
    task = CronTask.model_validate_json(run(*CREATE, *given, "--json"))
    assert (task.timezone, task.overlap, task.payload) == ("Europe/Berlin", "allow", {"days": 7})
    assert task == events.cron.get("reports")

    task = CronTask.model_validate_json(run("cron", "update", "reports", "--schedule", "@hourly", "--json"))
    assert (task.schedule, task.timezone) == (events.cron.get("reports").schedule, "Europe/Berlin")
    assert CronTask.model_validate_json(run("cron", "pause", "reports", "--json")).state == "paused"
    assert "paused" in run("cron", "show", "reports")
    assert CronTask.model_validate_json(run("cron", "resume", "reports", "--json")).state == "active"
    said = run("cron", "delete", "reports", "--yes")
    assert said.startswith("reports is deleted, and the history of its runs; it was:\n")
    assert "active" not in said
    assert "next run" not in said
    assert events.cron.list().total == 0


def test_tasks_and_runs_are_listed(events: EventService, run: Run) -> None:
    run(*CREATE)
    page = Page[CronTask].model_validate_json(run("cron", "ls", "--json"))
    assert [task.name for task in page.items] == ["reports"]
    assert run("cron", "ls").splitlines()[1].startswith("reports\t")
    begun = CronRun.model_validate_json(run("cron", "run", "reports", "--json"))
    runs = Page[CronRun].model_validate_json(run("cron", "history", "reports", "--json"))
    assert [one.run_id for one in runs.items] == [begun.run_id]
    assert "by hand" in run("cron", "history", "reports")
    assert "runs at" in run("cron", "run", "reports", "--delay", "1h")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["create", "reports"], 2, "say when it runs"),
        (["create", "reports", "--schedule", "61 * * * *", "--publish", "report.due"], 2, "61"),
        (["create", "reports", "--schedule", "@daily"], 2, "say what it does: --publish TYPE or --actor NAME"),
        (
            ["create", "r", "--schedule", "@daily", "--publish", "a.b", "--actor", "a"],
            2,
            "say what it does: --publish TYPE or --actor NAME, one of them",
        ),
        (["create", "r", "--schedule", "@daily", "--publish", "a.b", "--payload", "[1]"], 2, "is a JSON object"),
        (["create", "r", "--schedule", "@daily", "--actor", "a", "--actor-args", "{}"], 2, "is a JSON list"),
        (["create", "r", "--schedule", "@daily", "--actor", "a", "--actor-kwargs", "{"], 2, "by name is no JSON"),
        (["create", "r", "--schedule", "@daily", "--publish", "a.b", "--run-timeout", "0s"], 2, "--run-timeout must"),
        (["create", "r", "--schedule", "@daily", "--publish", "a.b", "--at", "2001-01-01"], 2, "is past"),
        (
            ["create", "r", "--schedule", "@daily", "--publish", "a.b", "--at", "2030-01-01", "--delay", "1h"],
            2,
            "either",
        ),
        (["create", "..", "--schedule", "@daily", "--publish", "a.b"], 2, "the name '..' means a folder"),
        (["update", "reports"], 2, "say what is to change"),
        (["update", "reports", "--max-runs", "3", "--clear", "max-runs"], 2, "or --clear it"),
        (["show", "nobody"], 1, "nobody"),
        (["delete", "nobody"], 2, "say --yes"),
        (["delete", "nobody", "--yes"], 1, "nobody"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(
    events: EventService, arguments: list[str], code: int, said: str
) -> None:
    result = CliRunner().invoke(app, ["cron", *arguments])
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["create", "update"])
def test_whatever_a_task_can_be_told_in_python_a_command_can_tell_it(name: str) -> None:
    [command] = [one.callback for one in cron.registered_commands if one.name == name]
    assert command is not None
    assert set(CronDefinition.model_fields) - set(inspect.signature(command).parameters) == set()


EVERYTHING = {
    "--schedule": ("0 6 * * *", "schedule", "0 6 * * *"),
    "--timezone": ("Europe/Berlin", "timezone", "Europe/Berlin"),
    "--source": ("shell", "source", "shell"),
    "--priority": ("high", "priority", Priority.HIGH),
    "--overlap": ("buffer_one", "overlap", "buffer_one"),
    "--catch-up": ("2h", "catch_up", timedelta(hours=2)),
    "--jitter": ("5s", "jitter", timedelta(seconds=5)),
    "--max-runs": ("7", "max_runs", 7),
    "--ends-at": ("2099-01-01T00:00:00+00:00", "ends_at", datetime(2099, 1, 1, tzinfo=UTC)),
    "--run-timeout": ("3m", "run_timeout", timedelta(minutes=3)),
    "--max-retries": ("0", "max_retries", 0),
    "--retry-delay": ("1m", "retry_delay", timedelta(minutes=1)),
}

OF_AN_ACTOR = {
    "--actor": ("tidy", "actor", "tidy"),
    "--queue": ("slow", "queue", "slow"),
    "--actor-args": ('["north", 7]', "actor_args", ("north", 7)),
    "--actor-kwargs": ('{"deep": true}', "actor_kwargs", {"deep": True}),
}


def test_every_option_says_what_it_says_in_python(events: EventService, run: Run) -> None:
    given = EVERYTHING | OF_AN_ACTOR
    words = [word for option, (text, _, _) in given.items() for word in (option, text)]
    created = CronTask.model_validate_json(run("cron", "create", "tidying", *words, "--catch-up-all", "--json"))
    wanted = {field: value for _, field, value in given.values()} | {"catch_up_all": True}
    assert {field: getattr(created, field) for field in wanted} == wanted
    assert created == events.cron.get("tidying")

    run(*CREATE)
    words = [word for option, (text, _, _) in EVERYTHING.items() for word in (option, text)]
    updated = CronTask.model_validate_json(run("cron", "update", "reports", *words, "--catch-up-all", "--json"))
    wanted = {field: value for _, field, value in EVERYTHING.values()} | {"catch_up_all": True}
    assert {field: getattr(updated, field) for field in wanted} == wanted
    shown = run("cron", "show", "tidying")
    for fact in ("north", "slow", "high", "all ticks", "3 m"):
        assert fact in shown


def test_what_a_task_handed_over_is_gone_once_it_does_something_else(events: EventService, run: Run) -> None:
    """It was shown as if it were used, and a form that shows it could not be sent."""
    run(*CREATE, "--payload", '{"days": 7}')
    run("cron", "update", "reports", "--clear", "publish", "--actor", "tidy", "--actor-args", "[1]", "--queue", "slow")
    task = events.cron.get("reports")
    assert (task.payload, task.actor_args, task.queue) == ({}, (1,), "slow")
    run("cron", "update", "reports", "--clear", "actor", "--publish", "report.due")
    task = events.cron.get("reports")
    assert (task.actor_args, task.queue) == ((), None)


def test_what_was_said_of_a_task_can_be_taken_back(events: EventService, run: Run) -> None:
    run(*CREATE, "--max-runs", "3", "--ends-at", "2099-01-01", "--catch-up-all", "--max-retries", "1")
    cleared = [word for name in ("max-runs", "ends-at", "max-retries") for word in ("--clear", name)]
    task = CronTask.model_validate_json(run("cron", "update", "reports", *cleared, "--catch-up-latest", "--json"))
    assert (task.max_runs, task.ends_at, task.max_retries, task.catch_up_all) == (None, None, None, False)
    task = CronTask.model_validate_json(
        run("cron", "update", "reports", "--actor", "tidy", "--clear", "publish", "--json")
    )
    assert (task.actor, task.event_type) == ("tidy", None)
    assert events.cron.get("reports") == task


def test_a_task_can_be_created_and_run_at_a_time(events: EventService, run: Run) -> None:
    assert "reports is created at" in run(*CREATE, "--delay", "1h")
    assert events.cron.list().total == 0
    assert json.loads(run(*CREATE, "--at", "2030-01-01T00:00:00+00:00", "--json")) == "2030-01-01T00:00:00+00:00"
    run(*CREATE)
    assert "reports runs at 2030-01-01 00:00:00" in run("cron", "run", "reports", "--at", "2030-01-01T00:00:00+00:00")
    assert "while we look" in run("cron", "pause", "reports", "--reason", "while we look")
