"""Options that several commands have."""

from __future__ import annotations

import os
from typing import Annotated

import typer

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


def use_redis(redis_url: str | None) -> None:
    """Have this process, and those that it starts, use the Redis of the option; None leaves it to the environment."""
    if redis_url is not None:
        os.environ.pop("REDIS_URL", None)
        os.environ["EVENTSYS_REDIS_URL"] = redis_url
