"""`eventsys web`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import Debug, RedisUrl, use_redis
from eventsys.cli.worker import refuse_unknown

Modules = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MODULE]...", help="Modules that register event types, for the catalogue."),
]
Host = Annotated[
    str, typer.Option("--host", envvar="EVENTSYS_WEB_HOST", help="The address to listen on; others need a token.")
]
Port = Annotated[int, typer.Option("--port", envvar="PORT", min=1, max=65535, help="The port to listen on.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Let nobody change anything.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        envvar="EVENTSYS_WEB_HOSTS",
        help="A name that requests may be for, beside localhost; may be repeated.",
    ),
]


def web(
    modules: Modules = None,
    host: Host = "127.0.0.1",
    port: Port = 8765,
    read_only: ReadOnly = False,
    allow_host: Names = None,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Serve pages and an HTTP API to look at the bus and operate it, until Ctrl-C or SIGTERM.

    Without a token it serves this machine only. EVENTSYS_WEB_TOKEN, or a file that EVENTSYS_WEB_TOKEN_FILE names, lets
    operators in, EVENTSYS_WEB_VIEWER_TOKEN those who only look: as a bearer token, or as the password in a browser.
    """
    with told_in_a_sentence(debug=debug):
        use_redis(redis_url)
        refuse_unknown(modules or [])
        from eventsys import EventService
        from eventsys.dashboard.serving import serve
        from eventsys.dashboard.web_settings import load_web_settings
        from eventsys.runtime.discovery import discover, find_service
        from eventsys.runtime.plain_log import log_plainly

        access = load_web_settings().access(read_only=read_only)
        log_plainly()
        sys.path.insert(0, str(Path.cwd()))
        for module in modules or []:
            discover(module)
        events: EventService = find_service(modules) if modules else EventService()
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        try:
            serve(
                events, access, host=host, port=port, hosts=allow_host or (),
                ready=lambda: typer.echo(address, err=True),
            )  # fmt: skip
        finally:
            events.stop()
