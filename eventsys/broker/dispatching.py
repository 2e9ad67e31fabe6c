"""Dispatching many events at once, where nobody but us wants to hear of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .broker import EventBroker
from .finished import Finished
from .messages import DISPATCHER, LogMessage, Received


def dispatch_all(broker: EventBroker, messages: Sequence[Received]) -> Sequence[Received]:
    """Resolve events and end them, and return those that are to be looked at one by one.

    These are all of them where a middleware of the application may want to see the dispatcher at work, and where the
    lease they were fetched under may have ended; else those that could not be resolved.
    """
    work = broker.work
    resolve = getattr(work.actors.get(DISPATCHER), "resolve", None)
    if resolve is None or broker.hooks_may_block or work.is_ending or broker.presence.may_have_ended:
        return messages
    name = broker.presence.name
    finished: list[Finished] = []
    others: list[Received] = []
    for message in messages:
        if isinstance(message, LogMessage) and message.place.holder == name and _is_resolved(resolve, message):
            finished.append(work.dispatched(message))
        else:
            others.append(message)
    if finished:
        work.in_flight.all_handled(finished[0].place.queue, len(finished))
        work.committer.put_all(finished)
    return others


def _is_resolved(resolve: Any, message: LogMessage) -> bool:
    try:
        resolve(message)
    except Exception:  # it is resolved again by itself, where its error has its place
        return False
    return True
