"""Deliveries that are handled in one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eventsys.errors import BatchError
from eventsys.model.envelope import open_event
from eventsys.model.event import Event

from .actor import Batching, HandlerActor, refuse_coroutine
from .attempt import Attempt
from .batch_errors import failures_of
from .messages import DeliveryMessage, Place, Received


class Batch(Received):
    """Deliveries of one subscription that are handled in one call.

    To the middleware it is one message around that call. Everything else is each delivery's own: whether it may begin,
    and how it ends.

    Args:
        deliveries: At least one; all of one subscription.

    Attributes:
        deliveries: Those that the call is for.
        events: What the handler gets: the events that could be read, in the order of their deliveries.
        failures: What is wrong with single deliveries, by their place.
    """

    span: Any = None
    _attempt: Attempt | None = None

    def __init__(self, deliveries: list[DeliveryMessage]) -> None:
        self.deliveries = deliveries
        first = deliveries[0]
        more = f"+{len(deliveries) - 1}" if len(deliveries) > 1 else ""
        super().__init__(
            first.place, actor_name=first.actor_name, args=(), options={}, message_id=f"{first.message_id}{more}"
        )
        self.actor = first.actor
        self.events: list[Event[Any]] = []
        self.failures: dict[int, BaseException] = {}

    @property
    def attempt(self) -> Attempt | None:
        """The attempt at all of them, whose context the handler runs in; each is begun with it."""
        return self._attempt

    @attempt.setter
    def attempt(self, attempt: Attempt | None) -> None:
        self._attempt = attempt
        for one in self.deliveries:
            one.attempt = attempt

    @property
    def keeps_steps(self) -> bool:
        """Whether what the handler published goes out though it raised: some of its events succeeded."""
        return isinstance(self.error, BatchError) and len(self.failures) < len(self.deliveries)

    def _read(self) -> Batching:
        """Read the events; those that cannot be read have failed, each by itself."""
        assert isinstance(self.actor, HandlerActor)
        assert self.actor.batching is not None
        batching = self.actor.batching
        for at, one in enumerate(self.deliveries):
            try:
                event = open_event(one.header, batching.payload_type, is_replay=one.replay > 0)
            except Exception as error:  # a model's own validators may raise anything
                self.failures[at] = error
            else:
                self.events.append(event)
        return batching

    @property
    def places(self) -> list[Place]:
        """Where they all stand."""
        return [one.place for one in self.deliveries]

    def handle(self) -> None:
        """Give a plain handler its events.

        Raises:
            BatchError: If it failed some of them; `failures` tells which.
            BaseException: What else it raised: then all have failed.
        """
        batching = self._read()
        if self.events:
            try:
                refuse_coroutine(batching.run(self.events), self.actor_name)
            except BatchError as error:
                if self._blame(error):
                    raise

    async def handle_async(self) -> None:
        """Give a coroutine handler its events; otherwise as `handle`."""
        batching = self._read()
        if self.events:
            try:
                await batching.run(self.events)
            except BatchError as error:
                if self._blame(error):
                    raise

    def _blame(self, error: BatchError) -> bool:
        """Note which deliveries failed by what the handler raised, and say whether any did.

        Raises:
            EventsysError: If it blames an event that is not among them.
        """
        failures = failures_of(error, {event.id for event in self.events})
        read = [at for at in range(len(self.deliveries)) if at not in self.failures]
        for at in read:
            if (own := failures.get(self.deliveries[at].event_id)) is not None:
                self.failures[at] = own
        return bool(failures)

    def delivery_of(self, event_id: str) -> DeliveryMessage | None:
        """Return the delivery of an event, if it is among them."""
        return next((one for one in self.deliveries if one.event_id == event_id), None)


def deliveries_of(messages: Iterable[Received]) -> list[Received]:
    """Return the messages, with the deliveries of each batch in its place."""
    return [one for message in messages for one in (message.deliveries if isinstance(message, Batch) else (message,))]
