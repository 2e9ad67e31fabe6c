"""The application of the soak: handlers of every kind, which note how long what they got was under way.

Configured by the environment: `REDIS_URL`, and in `SOAK_LATENCIES` the file that they note it in, as pairs of doubles:
when, on the monotonic clock of the machine, and how many seconds.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from typing import Any

import dramatiq

from eventsys import Event, EventService, Retry

HAPPENED, FOLLOWED, DUE = "soak.happened", "soak.followed", "soak.due"

#: How many cron tasks tick each second. Each run is three events of the class `cron`, of which 10,000 are kept: so many
#: there are after 278 s, within the warm-up of half an hour.
TICKING = 12

PAIR = struct.Struct("dd")

#: How long steps of `events.once` are remembered here: as the history, instead of a week.
REMEMBERED = "1m"

#: The history is kept so short that it is as long as it gets before the warm-up is over.
SETTINGS: dict[str, Any] = {
    "name": "soak", "app": "soak", "retention": "1m", "retention_count": 20_000,
    "scheduler": {"cleanup_interval": "1m"},
}  # fmt: skip

events = EventService(**SETTINGS)

_latencies = os.open(os.environ.get("SOAK_LATENCIES", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(sent_at: float) -> None:
    now = time.monotonic()
    os.write(_latencies, PAIR.pack(now, now - sent_at))


@events.on(HAPPENED, name="measure")
def measure(event: Event) -> None:
    """Note how long the event was under way, and cause another."""
    _note(event.payload["sent_at"])
    events.publish(FOLLOWED, {"of": event.id})


@events.on(HAPPENED, name="await_it")
async def await_it(event: Event) -> None:
    """Await something."""
    await asyncio.sleep(0.002)


@events.on(
    HAPPENED, name="try_twice", max_retries=3, retry_delay="500ms", where={"payload.number": {"numeric": ["<", 3]}}
)
def try_twice(event: Event) -> None:
    """Ask for another attempt the first time."""
    with events.once(event, keep=REMEMBERED) as is_due:
        if not is_due:
            return
    raise Retry("once more")


@events.on(FOLLOWED, name="follow")
def follow(event: Event) -> None:
    """Put something off."""
    events.schedule(DUE, event.payload, delay="2s")


@events.on(DUE, name="see_due")
def see_due(event: Event) -> None:
    """Take it."""


@dramatiq.actor(broker=events.broker, actor_name="plain")
def plain(number: int) -> None:
    """Take a message."""


def take_tick(event: Event) -> None:
    """Take a tick."""


for _number in range(TICKING):
    events.cron("* * * * * *", name=f"each-second-{_number}", jitter="900ms")(take_tick)
