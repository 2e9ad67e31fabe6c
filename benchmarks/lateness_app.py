"""An eventsys application whose handler notes how long after its due time it began."""

from __future__ import annotations

import os
import time

import redis

from eventsys import Event, EventService

EVENT_TYPE = "bench.due"
TIMES = "times"


def declare(url: str) -> EventService:
    """Return the application on the Redis at `url`."""
    events = EventService(redis_url=url, app="bench")
    client = redis.Redis.from_url(url)

    @events.on(EVENT_TYPE, name="due")
    def note(event: Event) -> None:
        # The host's clock is Redis's own here: both are on one machine.
        client.rpush(TIMES, time.time_ns() // 1000 - event.payload["due_ms"] * 1000)

    return events


if "REDIS_URL" in os.environ:
    events = declare(os.environ["REDIS_URL"])
