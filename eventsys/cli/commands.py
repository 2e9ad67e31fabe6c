"""All commands together."""

from __future__ import annotations

import typer

from eventsys.cli.bench import bench
from eventsys.cli.chains import export_events, trace_events
from eventsys.cli.cron import cron
from eventsys.cli.dead import dead
from eventsys.cli.delayed import delayed
from eventsys.cli.demo.command import demo
from eventsys.cli.dev import dev
from eventsys.cli.doctor import doctor
from eventsys.cli.events import events
from eventsys.cli.examples import give_examples
from eventsys.cli.families import with_families
from eventsys.cli.health import health
from eventsys.cli.metrics import metrics
from eventsys.cli.new.command import new
from eventsys.cli.publish import publish
from eventsys.cli.queues import queue
from eventsys.cli.redis_acl import redis_acl
from eventsys.cli.replays import backfill_subscription, replay_events, replays
from eventsys.cli.scheduler import scheduler
from eventsys.cli.schema import schema
from eventsys.cli.settings import settings
from eventsys.cli.subs import subs
from eventsys.cli.top.command import top
from eventsys.cli.version import version
from eventsys.cli.web import web
from eventsys.cli.worker import worker
from eventsys.cli.workers import workers

events.command("trace")(trace_events)
events.command("export")(export_events)
events.command("replay")(replay_events)
subs.command("backfill")(backfill_subscription)

COMMANDS = (
    demo,
    new,
    dev,
    worker,
    scheduler,
    web,
    publish,
    doctor,
    bench,
    health,
    top,
    metrics,
    settings,
    redis_acl,
    version,
)
FAMILIES = {
    "events": events,
    "delayed": delayed,
    "dead": dead,
    "cron": cron,
    "subs": subs,
    "replays": replays,
    "queue": queue,
    "workers": workers,
    "schema": schema,
}

# Modules of commands import what they need when they run: `--help` and completion must not wait for it.
app = typer.Typer(
    cls=with_families(FAMILIES),
    help="Durable, typed events on Redis.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command()(command)
give_examples(app)
for name, family in FAMILIES.items():
    give_examples(family, f"{name} ")
