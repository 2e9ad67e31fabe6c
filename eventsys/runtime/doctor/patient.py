"""What every check of the doctor looks at."""

from __future__ import annotations

from typing import Any, NamedTuple

from eventsys.model.machinery import QueueState, WorkerProcess
from eventsys.model.standing import SubscriptionStanding
from eventsys.service import EventService
from eventsys.store.keys import Keys
from eventsys.store.link import Link

Facts = dict[str, str]


class Patient(NamedTuple):
    """A bus as it was found.

    Attributes:
        events: A service on it.
        info: What Redis says of itself.
        processes: Its worker processes.
        queues: Its queues.
        standings: Its subscriptions, and how they stand.
    """

    events: EventService
    info: Facts
    processes: list[WorkerProcess]
    queues: list[QueueState]
    standings: list[SubscriptionStanding]

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
