"""Deliveries that wait for others of their subscription, to be handled together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from .actor import HandlerActor
from .batch import Batch
from .messages import DeliveryMessage, Received

#: Letters of stored events that make a batch full, however few they are.
MOST_LETTERS = 8 * 1024 * 1024


class Room(Protocol):
    """What counts the messages that a process holds of a queue."""

    def set_aside(self, queue: str, many: int) -> None:
        """Count so many no longer: they take no room from others while they wait."""

    def take_up(self, queue: str, many: int) -> None:
        """Count them again."""


def takes_batches(message: Received) -> bool:
    """Say whether a message is handled together with others.

    A suspect is handled alone, so that it takes nobody with it; and so is a delivery that tries for an open breaker.
    """
    actor = message.actor
    return (
        isinstance(actor, HandlerActor)
        and actor.batching is not None
        and isinstance(message, DeliveryMessage)
        and not (message.place.is_suspect or message.is_probe)
    )


class _Gathering:
    """What waits of one subscription.

    Attributes:
        due: When its first delivery has waited for as long as it may, on the monotonic clock.
    """

    __slots__ = ("deliveries", "due", "letters", "queue")

    def __init__(self, queue: str, due: float) -> None:
        self.queue = queue
        self.due = due
        self.deliveries: list[DeliveryMessage] = []
        self.letters = 0


class Collecting:
    """The batches of a worker that are not complete.

    A batch is complete when it has as many deliveries as its subscription says, or its first one has waited for as long
    as that says. It never waits for room: what waits here takes none, so a process goes on fetching for everybody; one
    batch a subscription waits at most, and of each queue it has deliveries in, which are counted apart. It is complete
    too when it has `MOST_LETTERS`.

    It knows no lock and no clock; whoever holds it guards it, and looks when something is due.

    Args:
        room: Returns what counts the messages that are held.
    """

    def __init__(self, room: Callable[[], Room]) -> None:
        self._room = room
        self._waiting: dict[tuple[str, str], _Gathering] = {}

    def add(self, messages: Iterable[Received], now: float) -> list[Batch]:
        """Take deliveries of subscriptions that handle many at once, and return the batches that are complete now.

        Args:
            messages: Those for which `takes_batches`.
            now: The monotonic clock's time.
        """
        complete: list[Batch] = []
        aside: dict[str, int] = {}
        for message in messages:
            assert isinstance(message, DeliveryMessage)
            batching = message.actor.batching  # type: ignore[union-attr]
            known = self._waiting.get((message.actor_name, message.queue_name))
            gathering = known or self._new(message, now + batching.wait_s)
            gathering.deliveries.append(message)
            gathering.letters += len(message.envelope)
            aside[gathering.queue] = aside.get(gathering.queue, 0) + 1
            if len(gathering.deliveries) >= batching.size or gathering.letters >= MOST_LETTERS:
                aside[gathering.queue] -= len(gathering.deliveries)
                complete.append(self._closed(gathering))
        for queue, many in aside.items():
            if many > 0:
                self._room().set_aside(queue, many)
            elif many < 0:
                self._room().take_up(queue, -many)
        return complete

    @property
    def next_due(self) -> float:
        """When the next batch has to go, on the monotonic clock; infinity when none waits."""
        return min((one.due for one in self._waiting.values()), default=float("inf"))

    def take_due(self, now: float) -> list[Batch]:
        """Return the batches that have waited long enough, the longest first."""
        due = [one for one in self._waiting.values() if one.due <= now]
        return [self._taken_up(one) for one in sorted(due, key=lambda one: one.due)]

    def take_all(self) -> list[Batch]:
        """Return everything that waits, in batches as they are."""
        return [self._taken_up(one) for one in list(self._waiting.values())]

    def __len__(self) -> int:
        return sum(len(one.deliveries) for one in self._waiting.values())

    def _new(self, message: DeliveryMessage, due: float) -> _Gathering:
        gathering = self._waiting[message.actor_name, message.queue_name] = _Gathering(message.queue_name, due)
        return gathering

    def _taken_up(self, gathering: _Gathering) -> Batch:
        self._room().take_up(gathering.queue, len(gathering.deliveries))
        return self._closed(gathering)

    def _closed(self, gathering: _Gathering) -> Batch:
        del self._waiting[gathering.deliveries[0].actor_name, gathering.queue]
        return Batch(gathering.deliveries)
