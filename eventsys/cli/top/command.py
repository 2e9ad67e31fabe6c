"""The command `eventsys top`."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from eventsys.cli.options import Debug, RedisUrl
from eventsys.cli.session import service_of
from eventsys.errors import RedisUnavailableError

Every = Annotated[float, typer.Option("--every", min=0.2, max=60.0, help="Seconds between two looks.")]
Once = Annotated[bool, typer.Option("--once", help="Print one look, and end; so it is where nobody watches, too.")]


def top(every: Every = 1.0, once: Once = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Watch the bus at work: rates, backlog, latency, what each subscription does, what is in hand. Ctrl-C ends it."""
    with service_of(redis_url, debug=debug) as service:
        from rich.console import Console
        from rich.live import Live

        from eventsys.cli.top.samples import History, look
        from eventsys.cli.top.screen import draw

        console, history = Console(), History()
        history.add(look(service))
        if once or not sys.stdout.isatty():
            console.print(draw(history, console.width))
            return
        with Live(draw(history, *console.size), console=console, screen=True, auto_refresh=False) as live:
            try:
                while True:
                    time.sleep(every)
                    try:
                        history.add(look(service))
                    except RedisUnavailableError as error:
                        # Who watches is to see the outage, and what comes after it.
                        history.miss(str(error))
                    live.update(draw(history, *console.size), refresh=True)
            except KeyboardInterrupt:
                return
