"""The application under fire: made events, followed by one event in the same commit and by one a little later.

It is configured by the environment, as every application is: `EVENTSYS_REDIS_URL`, the file of the ledger in
`CHAOS_LEDGER`, and the seconds a process's lease lasts in `CHAOS_LEASE_S`.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsys import Event, EventService
from eventsys.broker.lease import Lease

from .ledger import Ledger
from .names import FOLLOWED, LATER, MADE

LONGEST_S = 0.005
"""What a handler takes at most, in seconds."""

events = EventService(name="chaos", announce=False)
events.broker.work.lease = Lease.of(float(os.environ.get("CHAOS_LEASE_S", "12")))

has_begun = threading.Event()
"""Set when a handler of this process has begun: before, it holds nothing worth killing it for."""

_ledger = Ledger(Path(os.environ["CHAOS_LEDGER"]))


@contextmanager
def _noted(event: Event, subscription: str) -> Iterator[float]:
    _ledger.note("start", event.id, subscription)
    has_begun.set()
    yield random.uniform(0, LONGEST_S)
    _ledger.note("end", event.id, subscription)


@events.on(MADE, name="follow")
def follow(event: Event) -> None:
    """Publish an event that commits with this handler."""
    with _noted(event, "follow") as pause_s:
        events.publish(FOLLOWED, event.payload, priority=event.priority)
        time.sleep(pause_s)


@events.on(MADE, name="put_off")
def put_off(event: Event) -> None:
    """Schedule an event that commits with this handler."""
    with _noted(event, "put_off") as pause_s:
        time.sleep(pause_s)
        events.schedule(LATER, event.payload, delay="200ms")


@events.on(MADE, name="await_it")
async def await_it(event: Event) -> None:
    """Take some time on the event loop."""
    with _noted(event, "await_it") as pause_s:
        await asyncio.sleep(pause_s)


@events.on(FOLLOWED, name="see_followed")
def see_followed(event: Event) -> None:
    """Take some time."""
    with _noted(event, "see_followed") as pause_s:
        time.sleep(pause_s)


@events.on(LATER, name="see_later")
def see_later(event: Event) -> None:
    """Take some time."""
    with _noted(event, "see_later") as pause_s:
        time.sleep(pause_s)
