"""Options that several commands have."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.faults import MISUSED, refuse

if TYPE_CHECKING:
    from eventsys import EventService

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        metavar="URL",
        help="Which Redis; else what EVENTSYS_REDIS_URL or REDIS_URL says, else an embedded one in .eventsys/.",
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="A type, or a pattern such as 'user.*'; may be repeated."),
]
Subscription = Annotated[str | None, typer.Option("--sub", metavar="NAME", help="Only those of this subscription.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="From then on: so long before now (2h, 7d), or a date and time, in this machine's zone if it has none.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="WHEN",
        help="Before then: so long before now (2h, 7d), or a date and time, in this machine's zone if it has none.",
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="Most to show.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Go on where a page ended: its next_cursor.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
LivenessPath = Annotated[
    Path | None,
    typer.Option(
        "--liveness-file",
        envvar="EVENTSYS_LIVENESS_FILE",
        help="A file that the worker touches every second; eventsys health looks at it.",
    ),
]
Rate = Annotated[
    str | None,
    typer.Option("--rate", metavar="RATE", help="How many begin: 100/s, 10/m; a number is so many a second."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def use_redis(redis_url: str | None) -> None:
    """Have this process, and those that it starts, use the Redis of the option; None leaves it to the environment."""
    if redis_url is not None:
        from eventsys.store.urls import shown_url

        if shown_url(redis_url) != redis_url:
            typer.echo(
                "warning: the password in --redis-url can be seen in the list of processes and in the history of the"
                " shell; set EVENTSYS_REDIS_URL instead",
                err=True,
            )
        os.environ.pop("REDIS_URL", None)
        os.environ["EVENTSYS_REDIS_URL"] = redis_url


def moment_of(text: str | None, events: EventService) -> datetime | None:
    """Return the moment that `--since` or `--until` names: an aware datetime, None where nothing was given.

    What is so long ago is counted from the time of the bus, as the times are that it is compared with. A number without
    a unit is refused, though it is a duration elsewhere: 20261125 was meant as a date.
    """
    if text is None:
        return None
    from eventsys.errors import InvalidDurationError
    from eventsys.model.durations import parse_duration

    if re.fullmatch(r"[0-9.]+", text.strip()):
        refuse(
            f"{text!r} has no unit; give so long before now, as 90s, 2h or 7d, or a date such as 2026-11-25", MISUSED
        )
    try:
        age = parse_duration(text)
    except InvalidDurationError:
        return date_of(text)
    try:
        return events.broker.clock.now() - age
    except OverflowError:
        refuse(f"{text!r} is longer ago than the first date there is; leave it out to begin with the oldest", MISUSED)


def date_of(text: str) -> datetime:
    """Return the moment that an ISO date and time names; without a zone it is this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        refuse(f"{text!r} is no time; give a date such as 2026-11-25T08:00, or where it fits a duration: 2h", MISUSED)


def confirm(question: str, *, yes: bool, or_see: bool = True) -> None:
    """Go on only if a person says so, or `--yes` did; where nobody can be asked, refuse.

    Args:
        question: What is asked.
        yes: Whether `--yes` was given.
        or_see: Whether the command has `--dry-run`.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        see = ", or --dry-run to see" if or_see else ""
        refuse(f"{question} There is nobody to ask here; say --yes to do it{see}", MISUSED)
    typer.confirm(question, abort=True, err=True)  # what a program reads of --json is the answer alone
