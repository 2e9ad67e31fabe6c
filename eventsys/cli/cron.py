"""`eventsys cron`: tasks that run again and again."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.faults import MISUSED, refuse
from eventsys.cli.options import AsJson, Debug, Limit, RedisUrl, Yes, confirm, date_of
from eventsys.cli.printing import Column, print_facts, print_model, print_table, shown, visible
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys import CronTask, EventService

cron = typer.Typer(help="Cron tasks: list, change, run, and what became of their runs.", no_args_is_help=True)


class OverlapOption(StrEnum):
    """What becomes of a tick that comes while an earlier run is on."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    ALLOW = "allow"


Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the task.")]
Page = Annotated[int, typer.Option("--page", min=1, help="Which page.")]
Schedule = Annotated[
    str | None,
    typer.Option("--schedule", metavar="CRON", help="Five fields, six with seconds in front, or @hourly and so on."),
]
EventType = Annotated[str | None, typer.Option("--publish", metavar="TYPE", help="The type of event a tick publishes.")]
Payload = Annotated[str | None, typer.Option("--payload", metavar="JSON", help="Its payload, a JSON object.")]
Actor = Annotated[str | None, typer.Option("--actor", metavar="NAME", help="The actor that a tick sends a message.")]
Zone = Annotated[str | None, typer.Option("--timezone", metavar="ZONE", help="Such as Europe/Berlin; else UTC.")]
OverlapChoice = Annotated[
    OverlapOption | None, typer.Option("--overlap", help="What becomes of a tick while an earlier run is on.")
]
CatchUp = Annotated[
    str | None, typer.Option("--catch-up", metavar="DURATION", help="How late a tick may be and still run.")
]
Jitter = Annotated[
    str | None, typer.Option("--jitter", metavar="DURATION", help="The most that chance puts a tick off.")
]
MaxRuns = Annotated[int | None, typer.Option("--max-runs", min=1, help="After how many runs it ends.")]
EndsAt = Annotated[str | None, typer.Option("--ends-at", metavar="TIME", help="The last moment a tick may be due.")]
Delay = Annotated[str | None, typer.Option("--delay", metavar="DURATION", help="Not now, but so long from now.")]

_TASKS = (
    Column("NAME", lambda task: task.name, is_whole=True),
    Column("SCHEDULE", lambda task: task.schedule),
    Column("ZONE", lambda task: task.timezone),
    Column("STATE", lambda task: task.state.value),
    Column("NEXT RUN (UTC)", lambda task: task.next_run_at),
    Column("RUNS", lambda task: task.runs, is_number=True),
    Column("DOES", lambda task: _does(task)),
)
_RUNS = (
    Column("SCHEDULED (UTC)", lambda run: run.scheduled_for or "by hand"),
    Column("STARTED", lambda run: run.started_at),
    Column("ENDED", lambda run: run.ended_at),
    Column("OUTCOME", lambda run: run.outcome.value),
    Column("TARGET", lambda run: run.target_id),
    Column("ERROR", lambda run: run.error),
)


@cron.command("ls")
def list_tasks(
    limit: Limit = 50, page: Page = 1, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False
) -> None:
    """List the tasks by name, with their next run."""
    with service_of(redis_url, debug=debug) as service:
        found = service.cron.list(page=page, page_size=limit)
        if as_json:
            print_model(found)
        else:
            print_table(_TASKS, found.items, caption=f"{len(found.items)} of {found.total} tasks")


@cron.command("show")
def show_task(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show all about one task."""
    _tell(lambda service: service.cron.get(name), as_json, redis_url, debug=debug)


@cron.command("create")
def create_task(
    name: Name,
    schedule: Schedule = None,
    event_type: EventType = None,
    payload: Payload = None,
    actor: Actor = None,
    timezone: Zone = None,
    overlap: OverlapChoice = None,
    catch_up: CatchUp = None,
    jitter: Jitter = None,
    max_runs: MaxRuns = None,
    ends_at: EndsAt = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Create a task; where it exists, change it if this says something new.

    For example: eventsys cron create reports --schedule '0 6 * * mon-fri' --publish report.due --timezone Europe/Berlin
    """
    if schedule is None:
        refuse("say when it runs, such as --schedule '0 6 * * *'", MISUSED)
    options = _options(
        timezone=timezone, overlap=overlap, catch_up=catch_up, jitter=jitter, max_runs=max_runs, ends_at=ends_at
    )
    content = _object(payload)
    _tell(
        lambda service: service.cron.create(name, schedule, event_type, content, actor=actor, **options),
        as_json, redis_url, debug=debug,
    )  # fmt: skip


@cron.command("update")
def update_task(
    name: Name,
    schedule: Schedule = None,
    event_type: EventType = None,
    payload: Payload = None,
    timezone: Zone = None,
    overlap: OverlapChoice = None,
    catch_up: CatchUp = None,
    jitter: Jitter = None,
    max_runs: MaxRuns = None,
    ends_at: EndsAt = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Change what is given, and leave the rest; it stays so until the code declares something new."""
    changes = _options(
        schedule=schedule, event_type=event_type, payload=_object(payload), timezone=timezone, overlap=overlap,
        catch_up=catch_up, jitter=jitter, max_runs=max_runs, ends_at=ends_at,
    )  # fmt: skip
    if not changes:
        refuse("say what is to change: eventsys cron update --help lists what can", MISUSED)
    _tell(lambda service: service.cron.update(name, **changes), as_json, redis_url, debug=debug)


@cron.command("delete")
def delete_task(
    name: Name, yes: Yes = False, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False
) -> None:
    """Delete a task and its history."""
    confirm(f"Delete cron task {name!r} and the history of its runs?", yes=yes, or_see=False)
    _tell(lambda service: service.cron.delete(name), as_json, redis_url, debug=debug)


@cron.command("pause")
def pause_task(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Let a task have no ticks until it is resumed."""
    _tell(lambda service: service.cron.pause(name), as_json, redis_url, debug=debug)


@cron.command("resume")
def resume_task(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Let a paused task go on with its next tick."""
    _tell(lambda service: service.cron.resume(name), as_json, redis_url, debug=debug)


@cron.command("run")
def run_task(
    name: Name, delay: Delay = None, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False
) -> None:
    """Begin a run by hand, now or later, paused or not."""
    with service_of(redis_url, debug=debug) as service:
        if delay is not None:
            due = service.cron.run_later(name, delay=delay)
            typer.echo(json.dumps(due.isoformat()) if as_json else f"{name} runs at {shown(due)} UTC")
            return
        run = service.cron.run_now(name)
        if as_json:
            print_model(run)
        else:
            typer.echo(f"{visible(name)} runs; see eventsys cron history {visible(name)}")


@cron.command("history")
def list_runs(
    name: Name,
    limit: Limit = 20,
    page: Page = 1,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """List the runs of a task, the newest first, with the ticks that were skipped or missed."""
    with service_of(redis_url, debug=debug) as service:
        found = service.cron.history(name, page=page, page_size=limit)
        if as_json:
            print_model(found)
        else:
            print_table(_RUNS, found.items, caption=f"{len(found.items)} of {found.total} runs")


def _tell(change: Callable[[EventService], CronTask], as_json: bool, redis_url: str | None, *, debug: bool) -> None:
    """Make a change, and show the task as it then is."""
    with service_of(redis_url, debug=debug) as service:
        task = change(service)
        if as_json:
            print_model(task)
        else:
            print_facts(_facts(task))


def _facts(task: CronTask) -> list[tuple[str, object]]:
    return [
        ("name", task.name),
        ("schedule", f"{task.schedule} ({task.timezone})"),
        ("does", _does(task)),
        ("state", f"{task.state.value}{f': {task.reason}' if task.reason else ''}"),
        ("next run", task.next_run_at),
        ("runs", task.runs),
        ("overlap", task.overlap.value),
        ("catch up", task.catch_up),
        ("jitter", task.jitter or None),
        ("ends at", task.ends_at),
        ("max runs", task.max_runs),
        ("payload", json.dumps(task.payload) if task.payload else None),
        ("declared by code", "yes" if task.is_declared else "no"),
        ("changed", task.updated_at),
    ]


def _does(task: CronTask) -> str:
    return f"publish {task.event_type}" if task.event_type else f"send {task.actor}"


def _options(**given: Any) -> dict[str, Any]:
    """Return what was given, in the form the service takes."""
    said = {name: value for name, value in given.items() if value is not None}
    if "overlap" in said:
        said["overlap"] = said["overlap"].value
    if "ends_at" in said:
        said["ends_at"] = date_of(said["ends_at"])
    return said


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        refuse(f"the payload is no JSON: {error.msg} at column {error.colno}", MISUSED)
    if not isinstance(content, dict):
        refuse("the payload is a JSON object, such as '{\"days\": 7}'", MISUSED)
    return content
