"""Turning down a delivery that the handler here does not want: it waits for newer code, or is set aside."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from eventsys.errors import EventsysError
from eventsys.model.subscription import Subscription

from .actor import HandlerActor
from .endings import ending_of_waiting, entry_of
from .messages import DeliveryMessage, ForgedError
from .setting_aside import set_aside
from .work import Work

logger = logging.getLogger(__name__)


class _Row(msgspec.Struct):
    declaration_hash: str = ""


def turn_down(
    work: Work, message: DeliveryMessage, actor: HandlerActor, why: str, fields: Sequence[bytes] | None = None
) -> None:
    """End a delivery that the handler of this process does not want; it never runs here.

    Where the declaration of this process is not the one that holds, as in a deploy that widens a pattern, it waits for
    a process that has that one, and is judged by its code. Else somebody pointed the event at this handler: it is set
    aside. That this is asked of Redis, where it could be forged, may keep a delivery waiting and makes none run.

    Args:
        work: What the process holds.
        message: The delivery; noted as held.
        actor: The handler.
        why: Why it does not want it.
        fields: What stood in the lane, before any limit was asked; None where the delivery had been let in.
    """
    gate = (message.subscription, "") if message.subscription in work.gates.kept else None
    if _is_overruled(work, actor.subscription):
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


def _is_overruled(work: Work, declared: Subscription) -> bool:
    """Say whether a subscription is declared otherwise by now; or may be, since Redis does not answer."""
    try:
        row = work.link.call("HGET", work.keys.subscriptions, declared.name)
    except EventsysError:
        return True
    try:
        return row is not None and msgspec.json.decode(row, type=_Row).declaration_hash != declared.declaration_hash
    except (ValueError, msgspec.MsgspecError):
        return False  # a row that nothing of eventsys wrote explains no delivery
