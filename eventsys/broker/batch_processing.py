"""One call for many deliveries: who is in it, and the call."""

from __future__ import annotations

from .actor import HandlerActor
from .batch import Batch
from .broker import EventBroker
from .messages import DeliveryMessage
from .processing import attempt_and_end, process


def process_batch(broker: EventBroker, batch: Batch) -> None:
    """Make one attempt at all deliveries of a batch and end them; nothing is raised, whatever the handler does."""
    alone = open_batch(broker, batch, on_loop=False)
    if batch.deliveries:
        attempt_and_end(broker, batch)
    for one in alone:
        process(broker, one)


def open_batch(broker: EventBroker, batch: Batch, *, on_loop: bool = True) -> list[DeliveryMessage]:
    """Leave in a batch what may be handled together now, and return what has to be looked at one by one.

    Those are all that cannot simply begin: the lease ended under which they were fetched, the subscription was paused,
    they are too late, the handler was loaded again and takes fewer, or none at once, or runs elsewhere now; where what
    is stored is signed, all that were fetched for another one. If the process is about to end nothing begins, and
    whoever ends it hands everything back.

    Args:
        broker: The broker.
        batch: The batch.
        on_loop: Whether its handler would be called on an event loop, as a coroutine function.
    """
    work, waiting = broker.work, batch.deliveries
    batch.deliveries = []
    if work.is_ending:
        return []
    batch.actor = actor = work.actors.get(batch.actor_name)
    batching = actor.batching if isinstance(actor, HandlerActor) and actor.is_async == on_loop else None
    holder = waiting[0].place.holder
    if batching is None or batch.actor_name in work.gates.closed or not broker.presence.holds(holder):
        return waiting
    now_ms = broker.clock.now_ms()
    alone: list[DeliveryMessage] = []
    for one in waiting:
        is_late = one.expires_ms is not None and now_ms > one.expires_ms
        has_room = len(batch.deliveries) < batching.size
        is_asked = work.seal is None or one.actor is actor
        begins = has_room and is_asked and not is_late and one.place.holder == holder
        (batch.deliveries if begins else alone).append(one)
    for one in batch.deliveries:
        one.started_ms = now_ms  # what it began at, should it be handed back before its end is known
    if batch.deliveries:
        batch.args = ([one.envelope for one in batch.deliveries],)
        work.in_flight.begin_batch(batch.queue_name, len(batch.deliveries))
        if work.begun_board is not None:
            for one in batch.deliveries:
                one.begun_slot = work.begun_board.enter(one.place.stream, one.place.entry)
    return alone
