"""Leaving the queue of a subscription that a process hosts no more."""

from __future__ import annotations

import time
from typing import Any

from .broker import EventBroker
from .staging import ActorTable
from .worker import Worker, join_waking

#: The most seconds that handlers which run on are waited for.
_LONGEST_S = 600.0

#: Seconds between two looks at whether they are waited for in vain.
_LOOK_S = 0.5


def leave_queue(broker: EventBroker, queue: str, subscription: str) -> None:
    """Have a process read a queue no longer and forget it, unless an actor of its own, or a worker, has need of it.

    What runs of it in a worker that reads every queue is waited for, as long as that runs itself. Where it takes too
    long, or the worker is Dramatiq's, which cannot leave one, the process goes on to say that it reads the queue.

    Args:
        broker: The broker of the process.
        queue: The queue, whose own threads have ended. Redis keeps it where it is not of that subscription alone.
        subscription: The name of that.
    """
    work = broker.work
    with broker.declaring:  # whoever declares it anew has it told to the workers again
        workers = _readers(broker, queue)
        if work.by_hand or _has_actor(broker, queue) or not all(isinstance(one, Worker) for one in workers):
            return
        broker.queues.discard(queue)
        readers = [worker.leave(queue) for worker in workers]
    deadline = time.monotonic() + _LONGEST_S
    for reader in readers:
        join_waking(reader, deadline)
    while broker.has_workers and time.monotonic() < deadline and queue not in broker.queues:
        if work.in_flight.wait_for_room(queue, 1, _LOOK_S):
            break
    with broker.declaring:
        if queue in broker.queues or work.in_flight.held(queue):
            return
        if isinstance(broker.actors, ActorTable):
            broker.actors.forget_home(subscription)
        work.queue_names.forget_one(queue)
        work.in_flight.forget_queue(queue)
        work.presence.leave_queue(queue, subscription)


def _readers(broker: EventBroker, queue: str) -> list[Any]:
    """Return the workers that read a queue."""
    workers = [getattr(one, "worker", None) for one in broker.middleware]
    return [worker for worker in workers if queue in getattr(worker, "consumers", ())]


def _has_actor(broker: EventBroker, queue: str) -> bool:
    return any(actor.queue_name == queue for actor in list(broker.actors.values()))
