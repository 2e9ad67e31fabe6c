"""What the payload of a cron task calls secret is printed by no command, and stays when asterisks are sent back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from eventsys import EventService
from eventsys.scheduling.cron_secrets import whole_fields
from tests.support.backups import ARGUMENTS, SECRETS, create_backup


@pytest.fixture
def kept(events: EventService) -> dict[str, Any]:
    """The payload of a task, `backup`, of a type whose model the commands do not know."""
    return create_backup(events)


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize(
    "command",
    ["ls", "show backup", "update backup --schedule @hourly", "pause backup", "resume backup", "delete backup --yes"],
)
def test_no_command_prints_the_secrets_of_a_task(
    run: Callable[..., str], kept: dict[str, Any], command: str, form: tuple[str, ...]
) -> None:
    printed = run("cron", *command.split(), *form)
    assert not any(secret in printed for secret in SECRETS)
    assert ("tape" in printed and "**********" in printed) is (command != "ls" or bool(form))


@pytest.mark.parametrize("command", [("update",), ("create", "--schedule", "@daily", "--publish", "backup.due")])
def test_asterisks_that_were_printed_keep_the_secret_that_stood_there(
    run: Callable[..., str], events: EventService, kept: dict[str, Any], command: tuple[str, ...]
) -> None:
    shown = json.loads(run("cron", "show", "backup", "--json"))["payload"]
    sent = json.dumps({**shown, "target": "disk"})
    printed = run("cron", command[0], "backup", *command[1:], "--payload", sent)
    assert events.cron.get("backup").payload == {**kept, "target": "disk"}
    assert not any(secret in printed for secret in SECRETS)


def test_a_command_can_say_what_is_secret_of_a_type_without_a_model(run: Callable[..., str]) -> None:
    said = ("--schedule", "@daily", "--publish", "note.due", "--payload", '{"a": {"b": "0penSesame"}, "c": "tape"}')
    printed = run("cron", "create", "notes", *said, "--secret", "a.b") + run("cron", "show", "notes", "--json")
    assert SECRETS[1] not in printed
    assert "tape" in printed
    run("cron", "update", "notes", "--schedule", "@hourly")
    assert SECRETS[1] not in run("cron", "show", "notes")


def test_a_task_of_another_type_forgets_what_was_secret(
    run: Callable[..., str], events: EventService, kept: dict[str, Any]
) -> None:
    run("cron", "update", "backup", "--publish", "note.due", "--payload", '{"password": "of the day"}')
    assert events.cron.get("backup").secret_fields is None
    assert "of the day" in run("cron", "show", "backup")


def test_a_process_without_the_model_begins_a_run_whose_event_is_masked(
    run: Callable[..., str], kept: dict[str, Any]
) -> None:
    begun = json.loads(run("cron", "run", "backup", "--json"))
    printed = run("events", "show", begun["target_id"])
    assert "tape" in printed
    assert not any(secret in printed for secret in SECRETS)


def test_processes_with_and_without_the_model_declare_the_same_task(
    events: EventService, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = events.cron.get("backup")
    monkeypatch.setattr(events.catalog, "model_for", lambda event_type: None)
    assert events.cron.create("backup", "@daily", "backup.due", kept).revision == before.revision
    assert events.cron.get("backup").secret_fields == ("password", "doors.code")


GIVEN = (
    "--actor", "store", "--actor-args", json.dumps(ARGUMENTS["actor_args"]),
    "--actor-kwargs", json.dumps(ARGUMENTS["actor_kwargs"]),
    *(word for name in ARGUMENTS["secret_fields"] for word in ("--secret", name)),
)  # fmt: skip


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_command_prints_arguments_of_an_actor_that_are_called_secret(
    run: Callable[..., str], events: EventService, form: tuple[str, ...]
) -> None:
    printed = run("cron", "create", "backup", "--schedule", "@daily", *GIVEN, *form)
    for command in ("show backup", "ls", "update backup --schedule @hourly", "pause backup"):
        printed += run("cron", *command.split(), *form)
    assert not any(secret in printed for secret in SECRETS)
    assert printed.count("front") >= 3
    shown = json.loads(run("cron", "show", "backup", "--json"))
    for option in ("actor_args", "actor_kwargs"):
        run("cron", "update", "backup", f"--{option.replace('_', '-')}", json.dumps(shown[option]))
    task = events.cron.get("backup")
    assert (list(task.actor_args), task.actor_kwargs) == (ARGUMENTS["actor_args"], ARGUMENTS["actor_kwargs"])


def test_another_actor_is_given_no_secrets_by_the_names_of_the_last(
    run: Callable[..., str], events: EventService
) -> None:
    run("cron", "create", "backup", "--schedule", "@daily", *GIVEN)
    given = ("--actor-args", '["tape", "label"]', "--actor-kwargs", "{}")
    run("cron", "update", "backup", "--actor", "print", *given)
    assert events.cron.get("backup").secret_fields is None


class Renewed(BaseModel):
    """The payload of another type, which calls something else secret."""

    key: str = Field("", json_schema_extra={"secret": True})


@pytest.mark.parametrize(("is_known", "names"), [(False, ()), (True, ("key",))])
@pytest.mark.parametrize("sends_back", [False, True])
def test_what_is_handed_on_to_another_type_stays_secret(
    run: Callable[..., str], events: EventService, kept: dict[str, Any], is_known: bool, names: Any, sends_back: bool
) -> None:
    """Changing the type printed the password, and from then on every run published it without saying that it is one."""
    if is_known:
        events.type("backup.v2", Renewed)
    shown = json.loads(run("cron", "show", "backup", "--json"))["payload"]
    given = {"payload": shown} if sends_back else {}
    whole = whole_fields(events.catalog, events.cron, "backup", {"event_type": "backup.v2", **given})
    events.cron.update("backup", **whole)
    events.cron.update("backup", schedule="@hourly")
    task = events.cron.get("backup")
    assert (task.payload, task.secret_fields) == (kept, (*names, "password", "doors.code"))
    begun = json.loads(run("cron", "run", "backup", "--json"))
    printed = run("cron", "show", "backup") + run("events", "show", begun["target_id"])
    assert "tape" in printed
    assert not any(secret in printed for secret in SECRETS)


def test_what_is_handed_on_to_another_actor_stays_secret(run: Callable[..., str], events: EventService) -> None:
    run("cron", "create", "backup", "--schedule", "@daily", *GIVEN)
    printed = run("cron", "update", "backup", "--actor", "print")
    assert events.cron.get("backup").secret_fields == tuple(ARGUMENTS["secret_fields"])
    assert not any(secret in printed for secret in SECRETS)
