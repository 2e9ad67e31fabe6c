"""Setting aside what a lane holds and nobody may handle: a dead letter, with what stood in the lane."""

from __future__ import annotations

import logging

from .endings import ending_of_junk
from .messages import ForgedError, Place, UndecodableError
from .work import Work

logger = logging.getLogger(__name__)


def set_aside(work: Work, place: Place, error: UndecodableError, gate: tuple[str, str] | None = None) -> None:
    """End an entry that is no message, or one that nobody with a key has signed; no record of an event learns of it.

    Args:
        work: What the process holds.
        place: Where it stands; noted as held.
        error: What is wrong with it.
        gate: What a subscription with limits, of which it was let in, has to be told.
    """
    logger.error(
        "an entry of a lane cannot be handled and was set aside: %s", error,
        extra={"action": error.reason, "queue": place.queue, "entry": place.entry},
    )  # fmt: skip
    letter_id = f"{place.stream}|{place.entry}"
    ending = ending_of_junk(letter_id, str(error), error.fields, reason=error.reason, place=place)
    work.end_unread(place, ending, sum(map(len, error.fields)), gate)
    if isinstance(error, ForgedError):
        work.when_forged(letter_id, str(error))
