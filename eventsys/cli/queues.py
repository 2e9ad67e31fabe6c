"""`eventsys queue`: what waits, what runs, and who reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.faults import MISUSED, refuse
from eventsys.cli.options import AsJson, Debug, DryRun, RedisUrl, Yes, confirm
from eventsys.cli.printing import Column, many, print_count, print_model, print_models, print_table, visible
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys import EventService
    from eventsys.model.machinery import QueueState

queue = typer.Typer(help="Queues: what waits, what runs, who reads them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="The name of the queue.")]

#: As `eventsys.store.keys` has it, which is not imported here: `--help` must not wait for it.
LOG_QUEUE = "eventsys.log"

_COLUMNS = (
    Column("QUEUE", lambda state: state.name, is_whole=True),
    Column("WAITING", lambda state: _waiting(state), is_number=True),
    Column("RUNNING", lambda state: state.running, is_number=True),
    Column("SUSPECTS", lambda state: state.suspects, is_number=True),
    Column("DELAYED", lambda state: state.delayed, is_number=True),
    Column("OLDEST", lambda state: state.oldest_waiting, is_number=True),
    Column("READERS", lambda state: len(state.readers), is_number=True),
    Column("STATE", lambda state: "paused" if state.is_paused else "active"),
)


@queue.command("ls")
def list_queues(as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """List the queues, the event log first: what waits there is not dispatched yet.

    A queue with waiting messages and no readers is one that no worker runs: see eventsys workers ls.
    """
    with service_of(redis_url, debug=debug) as service:
        states = service.machinery.queues()
        if as_json:
            print_models(states)
        else:
            print_table(_COLUMNS, states)


@queue.command("pause")
def pause_queue(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Let no process fetch from a queue, until it is resumed; what is fetched already still runs.

    To hold back one subscription alone: eventsys subs pause.
    """
    with service_of(redis_url, debug=debug) as service:
        service.machinery.control.pause(name)
        if as_json:
            print_model(_state(service, name))
        else:
            typer.echo(f"{visible(name)} is paused; every process heeds it within two seconds")


@queue.command("resume")
def resume_queue(name: Name, as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Let processes fetch from a queue again."""
    with service_of(redis_url, debug=debug) as service:
        service.machinery.control.resume(name)
        if as_json:
            print_model(_state(service, name))
        else:
            typer.echo(f"{visible(name)} is read again")


@queue.command("purge")
def purge_queue(
    name: Name,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Drop all that waits on a queue, its retries and delayed messages too; its deliveries end as cancelled."""
    with service_of(redis_url, debug=debug) as service:
        service.machinery.control.check(name)
        state = _state(service, name)
        if name == LOG_QUEUE:
            refuse("the event log is the history and cannot be purged; cancel events instead", MISUSED)
        count = state.waiting + state.running + state.suspects + state.delayed
        if not dry_run:
            confirm(f"Drop {many(count, 'message', 'messages')} of {name!r}?", yes=yes)
            service.broker.flush(name)
        print_count(count, "message", "dropped", of=f" of {visible(name)}", dry_run=dry_run, as_json=as_json)


def _state(service: EventService, name: str) -> QueueState:
    return next(one for one in service.machinery.queues() if one.name == name)


def _waiting(state: QueueState) -> str:
    return f"{state.waiting:,}" if state.is_exact else f"over {state.waiting:,}"
