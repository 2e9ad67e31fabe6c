"""`eventsys cron`: tasks that run again and again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.cron_options import ClearOption, cleared, said, takes_task_options
from eventsys.cli.faults import MISUSED, refuse
from eventsys.cli.options import AsJson, Debug, Limit, RedisUrl, Yes, confirm, date_of
from eventsys.cli.printing import Column, masked, print_facts, print_model, print_table, shown, visible
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys import CronTask, EventService

cron = typer.Typer(help="Cron tasks: list, change, run, and what became of their runs.", no_args_is_help=True)


Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the task.")]
Page = Annotated[int, typer.Option("--page", min=1, help="Which page.")]
Delay = Annotated[str | None, typer.Option("--delay", metavar="DURATION", help="Not now, but so long from now.")]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="Not now, but then: a date and time, in this machine's zone if it has none."
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at the task.")]
Clear = Annotated[
    list[ClearOption] | None,
    typer.Option("--clear", help="Have it no longer: no end, what subscriptions say of retries; may be repeated."),
]

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
@takes_task_options
def create_task(
    name: Name,
    at: At = None,
    delay: Delay = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
    **given: Any,
) -> None:
    """Create a task, now or later; where it exists, change it if this says something new.

    For example: eventsys cron create reports --schedule '0 6 * * mon-fri' --publish report.due --timezone Europe/Berlin
    """
    if given["schedule"] is None:
        refuse("say when it runs, such as --schedule '0 6 * * *'", MISUSED)
    if (given["event_type"] is None) == (given["actor"] is None):
        refuse("say what it does: --publish TYPE or --actor NAME, one of them", MISUSED)
    options, moment = said(given), None if at is None else date_of(at)
    if moment is None and delay is None:
        _tell(
            lambda service: service.cron.create(name, **_whole(service, name, options)),
            as_json, redis_url, debug=debug,
        )  # fmt: skip
        return
    with service_of(redis_url, debug=debug) as service:
        due = service.cron.create_later(name, at=moment, delay=delay, **_whole(service, name, options))
        _tell_when(due, f"{visible(name)} is created", as_json=as_json)


@cron.command("update")
@takes_task_options
def update_task(
    name: Name,
    clear: Clear = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
    **given: Any,
) -> None:
    """Change what is given, and leave the rest; it stays so until the code declares something new."""
    changes = said(given)
    for field in cleared(clear or []):
        if field in changes:
            refuse(f"say either what {field.replace('_', '-')} is to be, or --clear it", MISUSED)
        changes[field] = None
    if not changes:
        refuse("say what is to change: eventsys cron update --help lists what can", MISUSED)
    _tell(
        lambda service: service.cron.update(name, **_whole(service, name, changes)), as_json, redis_url, debug=debug
    )  # fmt: skip


@cron.command("delete")
def delete_task(
    name: Name, yes: Yes = False, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False
) -> None:
    """Delete a task and its history."""
    confirm(f"Delete cron task {name!r} and the history of its runs?", yes=yes, or_see=False)
    with service_of(redis_url, debug=debug) as service:
        task = service.cron.delete(name)
        if as_json:
            print_model(task)
        else:
            typer.echo(f"{visible(name)} is deleted, and the history of its runs; it was:")
            print_facts(fact for fact in _facts(masked(task)) if fact[0] not in {"state", "next run"})


@cron.command("pause")
def pause_task(
    name: Name,
    reason: Reason = "paused by hand",
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Let a task have no ticks until it is resumed."""
    _tell(lambda service: service.cron.pause(name, reason=reason), as_json, redis_url, debug=debug)


@cron.command("resume")
def resume_task(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Let a paused task go on with its next tick."""
    _tell(lambda service: service.cron.resume(name), as_json, redis_url, debug=debug)


@cron.command("run")
def run_task(
    name: Name,
    delay: Delay = None,
    at: At = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Begin a run by hand, now or later, paused or not."""
    moment = None if at is None else date_of(at)
    with service_of(redis_url, debug=debug) as service:
        if delay is not None or moment is not None:
            due = service.cron.run_later(name, at=moment, delay=delay)
            _tell_when(due, f"{visible(name)} runs", as_json=as_json)
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


def _whole(service: EventService, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a task; asterisks that were shown in place of a secret mean that it stays."""
    from eventsys.scheduling.cron_secrets import whole_fields

    return whole_fields(service.catalog, service.cron, name, given)


def _tell(change: Callable[[EventService], CronTask], as_json: bool, redis_url: str | None, *, debug: bool) -> None:
    """Make a change, and show the task as it then is."""
    with service_of(redis_url, debug=debug) as service:
        task = change(service)
        if as_json:
            print_model(task)
        else:
            print_facts(_facts(masked(task)))


def _tell_when(due: datetime, what: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(due.isoformat()) if as_json else f"{what} at {shown(due)} UTC")


def _facts(task: CronTask) -> list[tuple[str, object]]:
    return [
        ("name", task.name),
        ("schedule", f"{task.schedule} ({task.timezone})"),
        ("does", _does(task)),
        ("state", f"{task.state.value}{f': {task.reason}' if task.reason else ''}"),
        ("next run", task.next_run_at),
        ("runs", task.runs),
        ("overlap", task.overlap.value),
        ("catch up", f"{shown(task.catch_up)}{', all ticks' if task.catch_up_all else ''}"),
        ("jitter", task.jitter or None),
        ("ends at", task.ends_at),
        ("max runs", task.max_runs),
        ("run timeout", task.run_timeout),
        ("retries", task.max_retries),
        ("retry delay", task.retry_delay),
        ("priority", task.priority.name.lower()),
        ("source", task.source or None),
        ("payload", json.dumps(task.payload) if task.payload else None),
        ("actor's queue", task.queue),
        ("actor's args", json.dumps(task.actor_args) if task.actor_args else None),
        ("actor's kwargs", json.dumps(task.actor_kwargs) if task.actor_kwargs else None),
        ("declared by code", "yes" if task.is_declared else "no"),
        ("changed", task.updated_at),
    ]


def _does(task: CronTask) -> str:
    return f"publish {task.event_type}" if task.event_type else f"send {task.actor}"
