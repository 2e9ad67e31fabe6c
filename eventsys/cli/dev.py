"""`eventsys dev`."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import RedisUrl, use_redis
from eventsys.cli.worker import Modules, Poll, Threads, refuse_unknown

if TYPE_CHECKING:
    from eventsys.runtime.child import Program

#: Seconds that running handlers have after Ctrl-C; then they are ended, and run again with the next start.
_DRAIN_S = 1.5

#: The port of the dashboard, unless another is asked for or something else listens there.
_USUAL_PORT = 8765

#: What the dashboard needs beside this package.
_NEEDED = ("fastapi", "jinja2", "uvicorn")

Processes = Annotated[int, typer.Option("--processes", "-p", min=1, max=1_000, help="Worker processes.")]
NoReload = Annotated[bool, typer.Option("--no-reload", help="Leave saved modules alone.")]
Port = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65535, help="The port of the dashboard.", show_default="8765 or a free one"),
]
NoWeb = Annotated[bool, typer.Option("--no-web", help="Serve no dashboard.")]
WholeTraces = Annotated[bool, typer.Option("--debug", help="Show tracebacks whole, with the frames of eventsys.")]


def dev(
    modules: Modules,
    processes: Processes = 1,
    threads: Threads = None,
    no_reload: NoReload = False,
    poll: Poll = False,
    port: Port = None,
    no_web: NoWeb = False,
    redis_url: RedisUrl = None,
    debug: WholeTraces = False,
) -> None:
    """Run the application MODULE while you work on it: Redis, worker, scheduler and dashboard, until Ctrl-C.

    A module that is saved takes effect at once, without a restart: handlers that run end on the old code, what waits
    runs on the new. If one cannot be loaded, the log says so and the old code goes on.

    Without a configured Redis an embedded one keeps its data in .eventsys/ of this directory. The dashboard needs the
    extra named web.
    """
    with told_in_a_sentence(debug=debug):
        use_redis(redis_url)
        refuse_unknown(modules)
        from eventsys.runtime.child import PLAIN
        from eventsys.runtime.development.options import Development
        from eventsys.runtime.development.terminal_log import log_to_terminal, say_hello
        from eventsys.runtime.supervisor import supervise

        log_to_terminal("dev", whole_traces=debug)
        development = Development(reloads=not no_reload, polls=poll, log="worker", whole_traces=debug, ticks=True)
        listener, dashboard = (None, "") if no_web else _listener(port)
        say_hello(modules, development, dashboard)
        leading = PLAIN if listener is None else _serving(listener)
        raise typer.Exit(
            supervise(
                modules, processes=processes, threads=threads, development=development, leading=leading,
                drain_s=_DRAIN_S,
            )
        )  # fmt: skip


def _listener(port: int | None) -> tuple[socket.socket | None, str]:
    """Return where the dashboard is asked, and what is said about it; None where it cannot be served."""
    from eventsys.runtime.listening import ListenError, listen, port_of

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        return None, f"no dashboard: {', '.join(missing)} not installed; pip install 'eventsys[web]'"
    try:
        [listener] = listen("127.0.0.1", _USUAL_PORT if port is None else port)
    except ListenError:
        if port is not None:
            raise
        [listener] = listen("127.0.0.1", 0)
    return listener, f"dashboard: http://127.0.0.1:{port_of(listener)}/"


def _serving(listener: socket.socket) -> Program:
    """Return what a worker process runs that serves the dashboard too."""
    from eventsys.runtime.child import Program

    descriptor = listener.fileno()
    return Program("eventsys.dashboard.beside_worker", ("--listen", str(descriptor)), (descriptor,))
