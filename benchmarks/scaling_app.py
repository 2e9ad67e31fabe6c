"""An eventsys application of three plain actors: one does nothing, one waits, one computes.

The worker imports this module with REDIS_URL set.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence

import dramatiq
import redis

from benchmarks.own_app import QUEUE, Application, do_nothing
from benchmarks.workload import THREADS
from eventsys import EventService

#: How long the actor that waits does so, as for an answer of a database.
_WAIT_S = 0.002

#: Numbers that the actor that computes adds up: some 0.1 ms.
_NUMBERS = 6_000


def declare(url: str, work: str = "nothing") -> Application:
    """Return the application on the Redis at `url`, with the actor that does this work."""
    events = EventService(redis_url=url, app=QUEUE)
    actors = {
        name: dramatiq.actor(actor_name=name, queue_name=QUEUE, broker=events.broker)(run) for name, run in WORK.items()
    }
    return Application(events, actors[work], redis.Redis.from_url(url))


def worker(processes: int) -> Sequence[str]:
    """Return the command of so many eventsys worker processes with THREADS threads each."""
    options = ["--processes", str(processes), "--threads", str(THREADS)]
    return [sys.executable, "-m", "eventsys", "worker", __name__, *options]


def _wait(_payload: Mapping[str, object]) -> None:
    time.sleep(_WAIT_S)


def _compute(_payload: Mapping[str, object]) -> None:
    sum(range(_NUMBERS))


#: What the handlers do, by name.
WORK = {"nothing": do_nothing, "2 ms of waiting": _wait, "0.1 ms of computing": _compute}

if "REDIS_URL" in os.environ:
    events = declare(os.environ["REDIS_URL"]).events
