"""`eventsys dev`."""

from __future__ import annotations

from typing import Annotated

import typer

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import RedisUrl, use_redis
from eventsys.cli.worker import Modules, Poll, Threads, refuse_unknown

#: Seconds that running handlers have after Ctrl-C; then they are ended, and run again with the next start.
_DRAIN_S = 1.5

Processes = Annotated[int, typer.Option("--processes", "-p", min=1, help="Worker processes.")]
NoReload = Annotated[bool, typer.Option("--no-reload", help="Leave saved modules alone.")]
WholeTraces = Annotated[bool, typer.Option("--debug", help="Show tracebacks whole, with the frames of eventsys.")]


def dev(
    modules: Modules,
    processes: Processes = 1,
    threads: Threads = None,
    no_reload: NoReload = False,
    poll: Poll = False,
    redis_url: RedisUrl = None,
    debug: WholeTraces = False,
) -> None:
    """Run the application MODULE while you work on it: Redis, worker and scheduler in one terminal, until Ctrl-C.

    A module that is saved takes effect at once, without a restart: handlers that run end on the old code, what waits
    runs on the new. One that cannot be loaded is told, and the old code goes on.

    Without a configured Redis an embedded one keeps its data in .eventsys/ of this directory.
    """
    with told_in_a_sentence(debug=debug):
        use_redis(redis_url)
        refuse_unknown(modules)
        from eventsys.runtime.development.options import Development
        from eventsys.runtime.development.terminal_log import log_to_terminal, say_hello
        from eventsys.runtime.supervisor import supervise

        log_to_terminal("dev", whole_traces=debug)
        development = Development(reloads=not no_reload, polls=poll, log="worker", whole_traces=debug, ticks=True)
        say_hello(modules, development)
        raise typer.Exit(
            supervise(modules, processes=processes, threads=threads, development=development, drain_s=_DRAIN_S)
        )
