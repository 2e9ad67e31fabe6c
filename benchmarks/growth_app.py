"""Three handlers of every type of the benchmark, none of which does anything, and a bus that has grown.

The worker imports this module with REDIS_URL set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from benchmarks.own_app import QUEUE
from benchmarks.workload import SUBSCRIBERS, THREADS
from eventsys import Event, EventService


def declare(url: str) -> EventService:
    """Return the application on the Redis at `url`."""
    events = EventService(redis_url=url, app=QUEUE)
    for number in range(SUBSCRIBERS):
        events.on("bench.*", name=f"subscriber_{number}")(_handle)
    return events


def subscribe_others(url: str, count: int) -> None:
    """Declare subscriptions of `count` other types, as processes would that do not run now."""
    others = EventService(redis_url=url, app="others")
    for number in range(count):
        others.on(f"other.type{number}", name=f"other_{number}")(_handle)
    others.bus.prepare()


def worker() -> Sequence[str]:
    """Return the command of one eventsys worker process with THREADS threads."""
    return [sys.executable, "-m", "eventsys", "worker", __name__, "--processes", "1", "--threads", str(THREADS)]


def _handle(event: Event) -> None:
    """Take an event and succeed."""


if "REDIS_URL" in os.environ:
    events = declare(os.environ["REDIS_URL"])
