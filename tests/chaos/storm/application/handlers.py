"""The handlers, saved again and again with another `VERSION`, and sometimes broken."""

from __future__ import annotations

import asyncio
import random
import time

import dramatiq
from periodiq import cron

from eventsys import Event
from tests.chaos.storm.names import DUE, FOLLOWED, LATER, MADE

from .service import events, ledger, noted

VERSION = 0

STUMBLES = 0.1
"""The share of attempts that `stumble` fails."""

# Redis is full again and again, and what a handler wants to publish then is refused: that attempt has failed. In an
# hour of it some fail four times in a row, so whoever publishes is given more tries.


@events.on(MADE, name="follow", max_retries=50)
def follow(event: Event) -> None:
    """Publish an event that commits with this handler."""
    with noted(event, "follow", VERSION) as pause_s:
        events.publish(FOLLOWED, event.payload, priority=event.priority)
        time.sleep(pause_s)


@events.on(MADE, name="put_off", max_retries=50)
def put_off(event: Event) -> None:
    """Schedule an event that commits with this handler."""
    with noted(event, "put_off", VERSION) as pause_s:
        time.sleep(pause_s)
        events.schedule(LATER, event.payload, delay="300ms")


@events.on(MADE, name="await_it")
async def await_it(event: Event) -> None:
    """Take some time on the event loop."""
    with noted(event, "await_it", VERSION) as pause_s:
        await asyncio.sleep(pause_s)


@events.on(MADE, name="stumble", max_retries=50, retry_delay="200ms")
def stumble(event: Event) -> None:
    """Fail now and then, after publishing what must not go out then."""
    with noted(event, "stumble", VERSION) as pause_s:
        time.sleep(pause_s)
        if random.random() < STUMBLES:
            events.publish(FOLLOWED, event.payload)
            raise RuntimeError("stumbled")


@events.on(FOLLOWED, name="see_followed")
def see_followed(event: Event) -> None:
    """Take some time."""
    with noted(event, "see_followed", VERSION) as pause_s:
        time.sleep(pause_s)


@events.on(LATER, name="see_later")
def see_later(event: Event) -> None:
    """Take some time."""
    with noted(event, "see_later", VERSION) as pause_s:
        time.sleep(pause_s)


@events.on(DUE, name="see_due")
def see_due(event: Event) -> None:
    """Take some time."""
    with noted(event, "see_due", VERSION) as pause_s:
        time.sleep(pause_s)


@dramatiq.actor(broker=events.broker, periodic=cron("* * * * *"))
def see_minute() -> None:
    """Note a tick of the scheduler."""
    ledger.note("minute", VERSION)
