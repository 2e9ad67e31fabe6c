"""Whether a delivery is one that its handler asked for: a signature says who wrote an event, not for whom."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dramatiq import Actor

from eventsys.errors import InvalidEventError, PayloadEncryptedError
from eventsys.model.envelope import header_fields
from eventsys.model.patterns import pattern_matches
from eventsys.model.seal import Seal

from .actor import HandlerActor
from .messages import DeliveryMessage, Received


def why_unwanted(message: Received, actor: Actor[..., Any] | None) -> str:
    """Return why a handler of this process must not get an event; empty where it may, and where no handler is known.

    The handler's own declaration counts, as the code has it: what Redis says of the subscription could be forged.
    """
    if not isinstance(message, DeliveryMessage) or not isinstance(actor, HandlerActor):
        return ""
    subscription, header = actor.subscription, message.header
    if not _is_of_pattern(subscription.pattern, header.type):
        return f"{subscription.name} subscribes to {subscription.pattern!r}, and got an event of type {header.type!r}"
    where = actor.payload_filter
    try:
        if where is None or where.matches(header_fields(header)):
            return ""
    except (InvalidEventError, PayloadEncryptedError) as error:
        return f"{subscription.name} has a filter that cannot look at event {header.id}: {error}"
    return f"{subscription.name} got an event of type {header.type!r} that its filter does not want"


def give_actor(message: Received, actor: Actor[..., Any] | None, seal: Seal | None) -> bool:
    """Give a message the actor that is to run it now, if that may, and say whether it has one.

    Whether it is wanted was asked when it was fetched, of the actor that there was: one that has come since, loaded
    again or declared under that name, has to be asked too.
    """
    if actor is not message.actor and seal is not None and why_unwanted(message, actor):
        actor = None
    message.actor = actor
    return actor is not None


_is_of_pattern = lru_cache(maxsize=4096)(pattern_matches)
