"""How a subscription stands now: its state, who hosts it, and what waits."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from eventsys.model.event import UtcTime
from eventsys.model.subscription import Subscription, SubscriptionState


class SubscriptionStanding(BaseModel):
    """A subscription, and how it stands at one moment."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: SubscriptionState
    """`unhosted` where it would run, or try whether its breaker may close, but no living worker has its handler."""
    hosts: tuple[str, ...] = ()
    """The living processes that have its handler and read its queue, as `host:pid`."""
    unhosted_since: UtcTime | None = None
    """Since when nobody does; looked at once a minute."""
    backlog: int = Field(default=0, ge=0)
    """Deliveries that are open: on a queue, running, in its waiting room, or waiting for their next attempt."""
    waiting: int = Field(default=0, ge=0)
    """Deliveries in its waiting room: held back by its state, its limits, or for want of a host."""
    oldest_waiting: UtcTime | None = None
    """Since when the oldest of those waits there."""
    let_in: int = Field(default=0, ge=0)
    """Deliveries of a limited subscription that are on its queue or running, counted against its limits."""
    dead_letters: int = Field(default=0, ge=0)
    subscription: Subscription
    """What was declared."""
