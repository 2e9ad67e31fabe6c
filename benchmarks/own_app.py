"""An eventsys application: one plain actor, and three handlers of one event type, none of which does anything.

The worker imports this module with REDIS_URL set; a benchmark calls `declare` to send and publish.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dramatiq
import redis

from benchmarks.workload import SUBSCRIBERS, THREADS
from eventsys import Event, EventService

QUEUE = "bench"
EVENT_TYPE = "bench.happened"
LANES = (10, 8, 5, 1)


@dataclass(frozen=True)
class Application:
    """A service with its actor, and a look at what is left to do."""

    events: EventService
    actor: dramatiq.Actor[Any, None]
    client: redis.Redis

    def waiting(self) -> int:
        """Return how many messages are in the queue; each leaves with the commit that ends it."""
        keys = self.events.broker.keys
        return sum(int(self.client.xlen(keys.lane(QUEUE, lane))) for lane in LANES)

    def deliveries_ended(self) -> int:
        """Return how many deliveries have succeeded."""
        return int(self.client.hget(self.events.broker.keys.counts, "deliveries_succeeded") or 0)  # type: ignore[arg-type]


def declare(url: str, pattern: str = EVENT_TYPE) -> Application:
    """Return the application on the Redis at `url`; its handlers take events of types that fit `pattern`."""
    events = EventService(redis_url=url, app=QUEUE)
    for number in range(SUBSCRIBERS):
        events.on(pattern, name=f"subscriber_{number}")(handle)
    actor = dramatiq.actor(actor_name="plain", queue_name=QUEUE, broker=events.broker)(do_nothing)
    return Application(events, actor, redis.Redis.from_url(url))


def stock_worker() -> Sequence[str]:
    """Return Dramatiq's own command: one process, its worker, THREADS threads."""
    return [sys.executable, "-m", "dramatiq", __name__, "--processes", "1", "--threads", str(THREADS)]


def own_worker() -> Sequence[str]:
    """Return the command of one eventsys worker process with THREADS threads."""
    return [sys.executable, "-m", "eventsys", "worker", __name__, "--processes", "1", "--threads", str(THREADS)]


def handle(event: Event) -> None:
    """Take an event and succeed."""


def do_nothing(payload: Mapping[str, object]) -> None:
    """Take a payload and succeed."""


if "REDIS_URL" in os.environ:
    events = declare(os.environ["REDIS_URL"]).events
