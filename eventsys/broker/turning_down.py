"""Turning down a delivery that the handler here does not want: it waits for newer code, or is set aside."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .actor import HandlerActor
from .endings import ending_of_waiting, entry_of
from .messages import DeliveryMessage, ForgedError
from .setting_aside import set_aside
from .work import Work

logger = logging.getLogger(__name__)


def turn_down(
    work: Work, message: DeliveryMessage, actor: HandlerActor, why: str, fields: Sequence[bytes] | None = None
) -> None:
    """End a delivery that the handler of this process does not want; it never runs here.

    Where the declaration of this process is not the one that holds, as in a deploy that widens a pattern, it waits for
    a process that has that one, and is judged by its code; for at most 15 minutes while there is no such process. Else
    somebody pointed the event at this handler: it is set aside. That this is asked of Redis, where it could be forged,
    may keep a delivery waiting and makes none run.

    Args:
        work: What the process holds.
        message: The delivery; noted as held.
        actor: The handler.
        why: Why it does not want it.
        fields: What stood in the lane, before any limit was asked; None where the delivery had been let in.
    """
    gate = (message.subscription, "") if message.subscription in work.gates.kept else None
    if work.overruled.may_wait(actor.subscription):
        logger.info(
            "a delivery waits for a process with another declaration of its subscription: %s", why,
            extra={"action": "delivery_waits", "queue": message.place.queue, "entry": message.place.entry},
        )  # fmt: skip
        work.end_unread(message.place, ending_of_waiting(message, is_hosted=False), message.weight, gate)
    elif fields is not None:
        set_aside(work, message.place, ForgedError(why, fields))
    else:
        parts = [part.encode(errors="surrogatepass") for part in entry_of(message)]
        set_aside(work, message.place, ForgedError(why, parts), gate)
