"""What every check of the doctor looks at."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from eventsys.model.machinery import QueueState, WorkerProcess
from eventsys.model.metrics import SubscriptionMetrics
from eventsys.model.standing import SubscriptionStanding
from eventsys.service import EventService
from eventsys.store.keys import Keys
from eventsys.store.link import Link

Facts = dict[str, str]


class Patient:
    """A bus as it is found; each part is looked at once, when the first check asks for it.

    Args:
        events: A service on the bus.
        info: What Redis says of itself.
    """

    def __init__(self, events: EventService, info: Facts) -> None:
        self.events = events
        self.info = info

    @cached_property
    def processes(self) -> list[WorkerProcess]:
        """The worker processes."""
        return self.events.machinery.processes()

    @cached_property
    def queues(self) -> list[QueueState]:
        """The queues."""
        return self.events.machinery.queues()

    @cached_property
    def standings(self) -> list[SubscriptionStanding]:
        """The subscriptions, and how they stand."""
        return self.events.subscriptions.list()

    @cached_property
    def figures(self) -> dict[str, SubscriptionMetrics]:
        """The figures of each subscription."""
        return self.events.get_metrics(by="subscription")

    @property
    def link(self) -> Link:
        """The way to Redis."""
        return self.events.broker.link

    @property
    def keys(self) -> Keys:
        """The keys of the bus."""
        return self.events.broker.keys

    @property
    def now_ms(self) -> int:
        """The bus's time."""
        return self.events.broker.clock.now_ms()

    def number(self, name: str) -> int:
        """Return a number of Redis's information, 0 where it has none of this name."""
        text = self.info.get(name, "0")
        return int(text) if text.lstrip("-").isdigit() else 0


def read_info(link: Link) -> Facts:
    """Return what Redis says of itself."""
    text: Any = link.call("INFO")
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def some(names: list[str], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
