"""An eventsys application whose handler notes how long ago the event was published."""

from __future__ import annotations

import os
import time

import redis

from eventsys import Event, EventService

EVENT_TYPE = "bench.timed"
TIMES = "times"


def declare(url: str) -> EventService:
    """Return the application on the Redis at `url`."""
    events = EventService(redis_url=url, app="bench")
    client = redis.Redis.from_url(url)

    @events.on(EVENT_TYPE, name="timed")
    def note(event: Event) -> None:
        # The monotonic clock is one for all processes of a machine.
        client.rpush(TIMES, time.monotonic_ns() - event.payload["published_ns"])

    return events


if "REDIS_URL" in os.environ:
    events = declare(os.environ["REDIS_URL"])
