"""Setting aside what a lane holds and nobody may handle: a dead letter, with what stood in the lane."""

from __future__ import annotations

import logging

from .endings import ending_of_junk, entry_of
from .messages import DeliveryMessage, ForgedError, Place, UndecodableError
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


def set_aside_unwanted(work: Work, message: DeliveryMessage, why: str) -> None:
    """End a delivery that was let in for another handler than the one that is here now, which does not want it."""
    fields = [part.encode(errors="surrogatepass") for part in entry_of(message)]
    gate = (message.subscription, "") if message.subscription in work.gates.kept else None
    set_aside(work, message.place, ForgedError(why, fields), gate)
