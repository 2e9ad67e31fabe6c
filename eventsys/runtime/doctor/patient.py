"""What every check of the doctor looks at."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from eventsys.model.machinery import QueueState, WorkerProcess
from eventsys.model.metrics import SubscriptionMetrics
from eventsys.model.priority import LANES
from eventsys.model.standing import SubscriptionStanding
from eventsys.service import EventService
from eventsys.store.channel import Command
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.metrics_look import MetricsLook
from eventsys.store.oddities import numbers_of

Facts = dict[str, str]

#: Newest events of each lane that are looked at.
_EVENTS = 500


class Patient:
    """A bus as it is found; each part is looked at once, when the first check asks for it.

    Args:
        events: A service on the bus.
        metrics: Figures that were read already; None: they are read when a check wants them.
    """

    def __init__(self, events: EventService, metrics: MetricsLook | None = None) -> None:
        self.events = events
        self.metrics = metrics or events.store.metrics.look()
        self._machinery = events.machinery.look()

    def answer(self, question: str) -> Any:
        """Return what Redis answers to one of the questions; all are asked at once, when the first answer is wanted.

        Raises:
            RedisRefusedError: If Redis refused this one.
        """
        answer = self._answers[question]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def numbers(self, question: str) -> dict[str, int]:
        """Return the fields of a hash that is the answer to a question, as far as they are whole numbers."""
        return numbers_of(question, self.answer(question))

    @cached_property
    def _answers(self) -> dict[str, Any]:
        questions = _questions(self.keys)
        return dict(zip(questions, self.link.pipeline(list(questions.values())), strict=True))

    @cached_property
    def info(self) -> Facts:
        """What Redis says of itself."""
        text = self.answer("info").decode("utf-8", "replace")
        lines = (line.partition(":") for line in text.splitlines() if ":" in line)
        return {name: value for name, _, value in lines}

    @property
    def processes(self) -> list[WorkerProcess]:
        """The worker processes."""
        return self._machinery.processes

    @property
    def queues(self) -> list[QueueState]:
        """The queues."""
        return self._machinery.queues

    @cached_property
    def standings(self) -> list[SubscriptionStanding]:
        """The subscriptions, and how they stand."""
        return self.events.subscriptions.list(self.metrics)

    @cached_property
    def figures(self) -> dict[str, SubscriptionMetrics]:
        """The figures of each subscription."""
        return self.metrics.by_subscription()

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


def _questions(keys: Keys) -> dict[str, Command]:
    """Return what most checks ask of Redis, in one round trip: each a few values, however large the bus is."""
    return {
        "info": ("INFO",),
        "slow commands": ("SLOWLOG", "GET", 128),
        "first due": ("ZRANGE", keys.delayed_due, 0, 0, "WITHSCORES"),
        "first far due": ("ZRANGE", keys.delayed_far_due, 0, 0, "WITHSCORES"),
        "last due": ("ZRANGE", keys.delayed_due, -1, -1, "WITHSCORES"),
        "last far due": ("ZRANGE", keys.delayed_far_due, -1, -1, "WITHSCORES"),
        "poller": ("GET", keys.poller),
        "last ticks": ("HGETALL", keys.periodic_last),
        "doubled ticks": ("HGETALL", keys.periodic_doubled),
        "periodic fields": ("HGETALL", keys.periodic_specs),
        "delayed messages": ("HGETALL", keys.delayed_queues),
        "crashes": ("HGETALL", f"{keys.prefix}:crashes"),
        "dead letters": ("ZCARD", keys.dead),
        "newest dead letter": ("ZREVRANGE", keys.dead, 0, 0),
        **{f"events of lane {lane}": ("XREVRANGE", keys.log(lane), "+", "-", "COUNT", _EVENTS) for lane in LANES},
    }


def some(names: list[str], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
