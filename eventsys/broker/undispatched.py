"""What becomes of events that could not be dispatched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from eventsys.errors import EventsysError, InvalidEventError

from .endings import Ending, ending_of_junk, ending_of_success
from .messages import LogMessage, Received

if TYPE_CHECKING:
    from .work import Work

logger = logging.getLogger(__name__)


def end_undispatched(work: Work, message: LogMessage) -> None:
    """End the attempt to dispatch an event that nobody could resolve."""
    ending = _ending_of(work, message, message.error)
    if ending is None:
        work.in_flight.hold_no_more([message.place])
    else:
        work.end_unread(message.place, ending, message.weight)


def resolving_again(work: Work, message: Received) -> Callable[[], Ending | None] | None:
    """Return what resolves an event again whose commit found the subscriptions changed; None: it is no event.

    That returns how the event ends now, or None where it was handed back. It raises nothing: the committer calls it,
    and everything else that this process has to commit waits behind.
    """
    resolve = getattr(message.actor, "resolve_again", None)
    if not isinstance(message, LogMessage) or resolve is None:
        return None

    def resolved() -> Ending | None:
        try:
            resolve(message)
        except Exception as error:
            return _ending_of(work, message, error)
        return ending_of_success(message, work.presence.number)

    return resolved


def _ending_of(work: Work, message: LogMessage, error: BaseException | None) -> Ending | None:
    """Return how an event ends that could never be dispatched; hand back any other, and return None."""
    place = message.place
    if isinstance(error, InvalidEventError):
        # A person has to look at it.
        return ending_of_junk(f"{place.stream}|{place.entry}", str(error), [b"e", message.envelope.encode()])
    logger.critical("an event could not be dispatched and is handed back", extra={"action": "dispatch_failed"})
    # Should that fail, it stays pending for this process, and is read again with the next lease or connection.
    with suppress(EventsysError):
        work.give_back([place])
    return None
