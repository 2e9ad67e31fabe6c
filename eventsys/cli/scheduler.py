"""`eventsys scheduler`."""

from __future__ import annotations

import typer

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import Debug, RedisUrl, use_redis
from eventsys.cli.worker import Modules, refuse_unknown


def scheduler(modules: Modules, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Send the periodic actors of MODULE their ticks, until Ctrl-C or SIGTERM.

    Does what `periodiq MODULE` does, and goes on where that ends: while Redis is away, after minutes that were lost, on
    Sundays. Several may run at once: each tick takes effect once. Tasks of `events.cron` need none: workers do them.
    """
    with told_in_a_sentence(debug=debug):
        use_redis(redis_url)
        refuse_unknown(modules)
        from eventsys.runtime.plain_log import log_plainly
        from eventsys.runtime.scheduler_process import run_scheduler

        log_plainly()
        raise typer.Exit(run_scheduler(modules))
