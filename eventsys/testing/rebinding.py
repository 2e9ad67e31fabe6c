"""Lending a service to a harness: the very object, with all its parts, for as long as a test runs."""

from __future__ import annotations

from typing import Any

from eventsys.broker.interrupts import Interrupts
from eventsys.errors import SettingsError
from eventsys.service import EventService

#: Real seconds that sending what was published without waiting may take, before and after.
FLUSH_S = 10.0


class Unlimited(Interrupts):
    """Time limits that nobody enforces: for a debugger that stops in a handler."""

    def enter(self, message: Any, limit_ms: float) -> None:
        """Watch nobody."""

    def leave(self) -> None:
        """Nobody was watched."""


class LentService:
    """A service that works on another Redis until it is given back as it was.

    What a test declares on it (handlers, plain actors, payload models, middleware) is gone afterwards; what it
    unsubscribed is there again.

    Args:
        events: The service.
        url: The Redis it works on meanwhile.
        interrupts: What enforces time limits meanwhile.

    Raises:
        SettingsError: If a worker runs on the service, or another harness has it.
    """

    def __init__(self, events: EventService, url: str, interrupts: Interrupts) -> None:
        broker = events.broker
        if broker.has_workers:
            raise SettingsError(
                "this service is at work: a worker, or another harness, has it; stop that before making a harness of it"
            )
        events.bus.flush(FLUSH_S)
        self._events = events
        parts = (events.bus, events.catalog, events.sweeps)
        self._put_back = [part.remember() for part in parts]
        self._interrupts, broker.interrupts = broker.interrupts, interrupts
        self._led_before = broker.work.rebind(url, by_hand=True)

    def give_back(self) -> None:
        """Let the service work on its own Redis again, and know what it knew."""
        self._events.bus.flush(FLUSH_S)
        for put_back in self._put_back:
            put_back()
        self._events.broker.interrupts = self._interrupts
        self._events.broker.work.rebind(self._led_before, by_hand=False)
