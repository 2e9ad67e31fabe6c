"""The application whose time is under fire: delayed events and messages, a cron task each second, a periodic actor.

Configured as `app` is. Every start is noted with the entry it came by, so that one message handled again after a kill
is told from two messages; and with the host's real time, whatever `time.time` is made to say.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import dramatiq
from periodiq import cron

from eventsys import Event, EventService
from eventsys.broker.attempt import current_attempt
from eventsys.broker.lease import Lease
from eventsys.broker.messages import Received

from .ledger import Ledger

DUE = "chaos.due"
"""The type of the delayed events."""

TICKS = "tick-each-second"
"""The name of the cron task."""

events = EventService(name="chaos-later")
events.broker.work.lease = Lease.of(float(os.environ.get("CHAOS_LEASE_S", "12")))

has_begun = threading.Event()
"""Set when a handler of this process has begun."""

_ledger = Ledger(Path(os.environ["CHAOS_LEDGER"]))


def _note(kind: str, name: str) -> None:
    attempt = current_attempt()
    assert attempt is not None
    assert isinstance(attempt.message, Received)
    place = attempt.message.place
    has_begun.set()
    real_ms = time.clock_gettime(time.CLOCK_REALTIME) * 1000
    _ledger.note(kind, name, f"{place.stream}|{place.entry}".replace(" ", "_"), f"{real_ms:.3f}")


@events.on(DUE, name="see_due")
def see_due(event: Event) -> None:
    """Note that a delayed event has fired."""
    _note("event", event.id)


@dramatiq.actor(broker=events.broker)
def see_message(name: str) -> None:
    """Note that a delayed message has come."""
    _note("message", name)


@events.cron("* * * * * *", name=TICKS, overlap="allow", catch_up="10m", catch_up_all=True)
def see_tick(event: Event) -> None:
    """Note a tick of the cron task."""
    _note("tick", event.id.rpartition(":")[2])


@dramatiq.actor(broker=events.broker, periodic=cron("* * * * *"))
def see_minute() -> None:
    """Note a tick of the periodic actor."""
    _note("minute", str(int(time.clock_gettime(time.CLOCK_REALTIME) // 60)))
