"""Leaving the queue of a subscription that a process hosts no more."""

from __future__ import annotations

from .broker import EventBroker
from .staging import ActorTable


def leave_queue(broker: EventBroker, queue: str, subscription: str) -> None:
    """Have a process read a queue no longer and forget it, unless an actor of its own, or a worker, has need of it.

    Its readers have ended, but for those of workers that read every queue: they go on.

    Args:
        broker: The broker of the process.
        queue: The queue, which no other subscription has.
        subscription: The name of that.
    """
    work = broker.work
    with broker.declaring:  # whoever declares it anew has it told to the workers again
        if work.by_hand or _is_needed(broker, queue):
            return
        broker.queues.discard(queue)
        if isinstance(broker.actors, ActorTable):
            broker.actors.forget_home(subscription)
        work.queue_names.forget_one(queue)
        work.in_flight.forget_queue(queue)
        work.presence.leave_queue(queue, subscription)


def _is_needed(broker: EventBroker, queue: str) -> bool:
    if broker.work.in_flight.held(queue) or any(one.queue_name == queue for one in list(broker.actors.values())):
        return True
    workers = [getattr(one, "worker", None) for one in broker.middleware]
    return any(queue in getattr(worker, "consumers", ()) for worker in workers)
