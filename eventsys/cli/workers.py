"""`eventsys workers`: the processes that handle messages."""

from __future__ import annotations

from datetime import datetime

import typer

from eventsys.cli.options import AsJson, Debug, RedisUrl
from eventsys.cli.printing import Column, print_models, print_table
from eventsys.cli.session import service_of

workers = typer.Typer(help="Worker processes: where they run, and what they hold.", no_args_is_help=True)


@workers.command("ls")
def list_workers(as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """List the processes that have not ended; one whose lease is overdue is being taken over."""
    with service_of(redis_url, debug=debug) as service:
        processes = service.machinery.processes()
        if as_json:
            print_models(processes)
        else:
            columns = _columns(service.broker.clock.now())
            print_table(columns, processes, caption="" if processes else "no worker runs; start one: eventsys worker")


def _columns(now: datetime) -> tuple[Column, ...]:
    return (
        Column("NAME", lambda process: process.name, is_whole=True),
        Column("HOST", lambda process: process.host),
        Column("PID", lambda process: str(process.pid), is_number=True),
        Column("UP", lambda process: now - process.started_at, is_number=True),
        Column("LEASE", lambda process: process.lease_ends_in, is_number=True),
        Column("HOLDS", lambda process: process.running, is_number=True),
        Column("POLLER", lambda process: "leads" if process.is_leader else ""),
        Column("QUEUES", lambda process: ", ".join(process.queues)),
    )
