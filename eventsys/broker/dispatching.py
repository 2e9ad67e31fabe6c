"""Dispatching events where nobody but us wants to hear of each: many at once, or one that comes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .broker import EventBroker
from .endings import Ending
from .finished import Finished
from .messages import DISPATCHER, LogMessage, Received
from .readers import Deliver, Reader


def dispatch_all(broker: EventBroker, messages: Sequence[Received]) -> Sequence[Received]:
    """Resolve events and end them, and return those that are to be looked at one by one.

    These are all of them where a middleware of the application may want to see the dispatcher at work, and where the
    lease they were fetched under may have ended; else those that could not be resolved.
    """
    finished, others = _resolved(broker, messages)
    if finished:
        broker.work.in_flight.all_handled(finished[0].place.queue, len(finished))
        broker.work.committer.put_all(finished)
    return others


def dispatch_alone(
    broker: EventBroker,
    messages: Sequence[Received],
    reader_of: Callable[[str], Reader | None],
    deliver: Deliver,
) -> Sequence[Received]:
    """Dispatch an event that is all that this process has to do, as `dispatch_all` does, and begin with its deliveries.

    Nobody else is woken for the commit, which waits for nothing here. Where a reader of this process waits for the
    queue of a delivery, that becomes its own in the same step, and it need not be woken to fetch it.

    Args:
        broker: The broker.
        messages: The event.
        reader_of: Returns who reads a queue in this process, if anybody does.
        deliver: Takes deliveries that can begin.
    """
    work = broker.work
    finished, others = _resolved(broker, messages)
    for one in finished:
        with work.in_flight.watch() as over:
            # Within the watch: who leaves the queue of one of them waits for its end.
            readers, wanted = _wanted(one.ending, reader_of, work.keys.lane)
            fetched = work.committer.commit_here(one, wanted)
            work.in_flight.all_handled(one.place.queue, 1)
            are_noted = False
            try:
                for lane in fetched or ():
                    readers[lane[0].decode()].take_over(lane, one.place.holder, over, deliver)
                are_noted = fetched is not None
            finally:
                if not are_noted:  # Redis has them for this process, which does not know
                    for reader in readers.values():
                        reader.find_lost()
    return others


def _wanted(
    ending: Ending, reader_of: Callable[[str], Reader | None], lane_of: Callable[[str, int], str]
) -> tuple[dict[str, Reader], list[str | int]]:
    """Return the lanes whose deliveries can begin here at once, with who reads them, and with how many can."""
    readers: dict[str, Reader] = {}
    many: dict[str, int] = {}
    room: dict[str, int] = {}
    _, _, _, own_lane, _, targets, *_ = ending
    for at in range(0, len(targets), 4):
        queue, lane = targets[at + 2], targets[at + 3] or own_lane
        reader = reader_of(queue)
        if queue not in room:
            room[queue] = 0 if reader is None else reader.room()
        if reader is not None and room[queue] > 0:
            room[queue] -= 1
            stream = lane_of(queue, lane)
            readers[stream] = reader
            many[stream] = many.get(stream, 0) + 1
    return readers, [value for pair in many.items() for value in pair]


def _resolved(broker: EventBroker, messages: Sequence[Received]) -> tuple[list[Finished], Sequence[Received]]:
    work = broker.work
    resolve = getattr(work.actors.get(DISPATCHER), "resolve", None)
    if resolve is None or broker.hooks_may_block or work.is_ending or broker.presence.may_have_ended:
        return [], messages
    name = broker.presence.name
    finished: list[Finished] = []
    others: list[Received] = []
    for message in messages:
        if isinstance(message, LogMessage) and message.place.holder == name and _is_resolved(resolve, message):
            finished.append(work.dispatched(message))
        else:
            others.append(message)
    return finished, others


def _is_resolved(resolve: Any, message: LogMessage) -> bool:
    try:
        resolve(message)
    except Exception:  # it is resolved again by itself, where its error has its place
        return False
    return True
