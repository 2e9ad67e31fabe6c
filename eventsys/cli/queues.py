"""`eventsys queue`: what waits, what runs, and who reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from eventsys.cli.options import AsJson, Debug, RedisUrl
from eventsys.cli.printing import Column, print_models, print_table
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys.model.machinery import QueueState

queue = typer.Typer(help="Queues: what waits, what runs, who reads them.", no_args_is_help=True)

_COLUMNS = (
    Column("QUEUE", lambda state: state.name),
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


def _waiting(state: QueueState) -> str:
    return f"{state.waiting:,}" if state.is_exact else f"over {state.waiting:,}"
