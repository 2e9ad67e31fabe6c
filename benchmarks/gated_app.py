"""An eventsys application whose three handlers have the limits that BENCH_OPTIONS names, as JSON."""

from __future__ import annotations

import json
import os

from benchmarks.own_app import EVENT_TYPE, QUEUE
from benchmarks.peers.dramatiq_app import SUBSCRIBERS
from eventsys import Event, EventService


def declare(url: str) -> EventService:
    """Return the service on the Redis at `url`."""
    events = EventService(redis_url=url, app=QUEUE)
    options = json.loads(os.environ["BENCH_OPTIONS"])
    for number in range(SUBSCRIBERS):
        events.on(EVENT_TYPE, name=f"subscriber_{number}", **options)(_handle)
    return events


def _handle(event: Event) -> None:
    """Take an event and succeed."""


if "REDIS_URL" in os.environ:
    events = declare(os.environ["REDIS_URL"])
