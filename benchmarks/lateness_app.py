"""An eventsys application whose handler notes how long after its due time it began.

It notes in memory, and a thread tells Redis fifty times a second: a handler that talked to Redis itself would compete
with the worker for the interpreter, and the benchmark would measure that.
"""

from __future__ import annotations

import os
import threading
import time

import redis

from eventsys import Event, EventService

EVENT_TYPE = "bench.due"
TIMES = "times"

#: Seconds between two looks at whether there is something to tell.
_TELL_EVERY_S = 0.02


def declare(url: str) -> EventService:
    """Return the application on the Redis at `url`."""
    events = EventService(redis_url=url, app="bench")
    client = redis.Redis.from_url(url)
    late_us: list[int] = []

    @events.on(EVENT_TYPE, name="due")
    def note(event: Event) -> None:
        # The host's clock is Redis's own here: both are on one machine.
        late_us.append(time.time_ns() // 1000 - event.payload["due_ms"] * 1000)

    def tell() -> None:
        told = 0
        while True:
            time.sleep(_TELL_EVERY_S)
            if len(late_us) > told:
                new = late_us[told:]
                client.rpush(TIMES, *new)
                told += len(new)

    threading.Thread(target=tell, name="bench-tell", daemon=True).start()
    return events


if "REDIS_URL" in os.environ:
    events = declare(os.environ["REDIS_URL"])
