"""Leaving the queue of a subscription that a process hosts no more."""

from __future__ import annotations

import threading
import time
from typing import Any

from eventsys.errors import EventsysError
from eventsys.model.priority import LANES

from .attempt import current_attempt
from .broker import EventBroker
from .lanes import LaneReader
from .messages import Place
from .staging import ActorTable
from .work import RETURNED_AT_ONCE, Work
from .worker import Worker, join_waking

#: The most seconds that handlers which run on are waited for.
_LONGEST_S = 600.0

#: Seconds between two looks at whether they are waited for in vain, and between two tries where Redis is away.
_LOOK_S = 0.5

#: The most seconds that commits are waited for: in a process that always has some the next round comes soon anyway.
_COMMIT_S = 1.0


def deadline_of_leaving() -> float:
    """Return until when, on the monotonic clock, what runs is waited for: not at all in a handler, which is that."""
    return time.monotonic() + (_LONGEST_S if current_attempt() is None else 0.0)


def leave_queue(
    broker: EventBroker,
    queue: str,
    subscription: str,
    *,
    is_own: bool,
    deadline: float | None = None,
    gives_up: threading.Event | None = None,
) -> None:
    """Have a process read a queue no longer and forget it, unless an actor of its own, or a worker, has need of it.

    What runs of it in a worker that reads every queue is waited for, as long as that runs itself. Where it takes too
    long, or the worker is Dramatiq's, which cannot leave one, the process goes on to say that it reads the queue.

    Args:
        broker: The broker of the process.
        queue: The queue, whose own threads have ended.
        subscription: The name of its subscription.
        is_own: Whether it is of that alone. Else a worker that reads it goes on and ends what is left there, and Redis
            keeps it.
        deadline: Until when what runs is waited for, on the monotonic clock; None: for ten minutes.
        gives_up: Set when the process is to end: a Redis that is away is waited for no longer.
    """
    work = broker.work
    with broker.declaring:  # whoever declares it anew has it told to the workers again
        workers = _readers(broker, queue)
        if work.by_hand or _has_actor(broker, queue) or not all(isinstance(one, Worker) for one in workers):
            have_lost_found(broker, queue)
            return
        if workers and not is_own:
            return
        broker.queues.discard(queue)
        readers = [worker.leave(queue) for worker in workers]
    deadline = time.monotonic() + _LONGEST_S if deadline is None else deadline
    for reader in readers:
        join_waking(reader, deadline)
    if any(reader.is_alive() for reader in readers):
        return  # it may have something in its hands
    work.in_flight.wait_for_watches(deadline - time.monotonic())  # a dispatch may just fetch something for one of them
    while broker.has_workers and time.monotonic() < deadline and queue not in broker.queues:
        if work.in_flight.wait_for_room(queue, 1, _LOOK_S):
            break
    # What is not committed cannot be settled, and an idle process looks again half a minute later.
    work.committer.join(max(0.0, min(_COMMIT_S, deadline - time.monotonic())))
    gives_up = threading.Event() if gives_up is None else gives_up
    while not _is_over(broker, queue, subscription) and not gives_up.wait(_LOOK_S) and time.monotonic() < deadline:
        pass


def _is_over(broker: EventBroker, queue: str, subscription: str) -> bool:
    """Forget a queue that nothing here reads, unless something needs it by now; say no where Redis is away."""
    work = broker.work
    with broker.declaring:
        if queue in broker.queues:
            have_lost_found(broker, queue)
            return True
        try:
            _give_back_unknown(work, queue)
        except EventsysError:
            return False
        if work.in_flight.held(queue):
            return True
        if isinstance(broker.actors, ActorTable):
            broker.actors.forget_home(subscription)
        work.queue_names.forget_one(queue)
        work.in_flight.forget_queue(queue)
        work.presence.leave_queue(queue, subscription)
    return True


def have_lost_found(broker: EventBroker, queue: str) -> None:
    """Have those that read a queue now look for what readers that have ended never saw: they began before, perhaps."""
    for worker in _readers(broker, queue):
        if (consumer := getattr(worker.consumers.get(queue), "consumer", None)) is not None:
            consumer.find_lost()


def _give_back_unknown(work: Work, queue: str) -> None:
    """Let others take what Redis gave to the readers of a queue and they never saw: no other reader will find it.

    A reader that is to end is woken by breaking its connection, and what Redis gave out at that moment is lost.
    """
    if not work.presence.reads(queue):
        return
    streams, name = {lane: work.keys.lane(queue, lane) for lane in LANES}, work.presence.name
    channel = work.link.channel()
    try:
        own = LaneReader(channel, list(streams.values()), name).read_own()
    finally:
        channel.close()
    places = [Place(queue, lane, streams[lane], entry.decode(), name) for lane, entry, _ in own]
    lost = [place for place in places if not work.in_flight.knows(place.stream, place.entry, name)]
    for start in range(0, len(lost), RETURNED_AT_ONCE):
        work.give_back(lost[start : start + RETURNED_AT_ONCE])


def _readers(broker: EventBroker, queue: str) -> list[Any]:
    """Return the workers that read a queue."""
    workers = [getattr(one, "worker", None) for one in broker.middleware]
    return [worker for worker in workers if queue in getattr(worker, "consumers", ())]


def _has_actor(broker: EventBroker, queue: str) -> bool:
    return any(actor.queue_name == queue for actor in list(broker.actors.values()))
