"""`eventsys cron`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from eventsys import CronRun, CronTask, EventService, Page
from eventsys.cli.commands import app

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
    run("cron", "delete", "reports", "--yes")
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
        (["create", "reports", "--schedule", "@daily"], 2, "needs either event_type= or actor="),
        (["create", "r", "--schedule", "@daily", "--publish", "a.b", "--payload", "[1]"], 2, "is a JSON object"),
        (["update", "reports"], 2, "say what is to change"),
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
