"""An application that is due each minute and each second, for the commands that see to that."""

from __future__ import annotations

import dramatiq
from periodiq import cron

from eventsys import EventService

events = EventService(app="cron-app")


@dramatiq.actor(actor_name="app.tidy", queue_name="plain", periodic=cron("* * * * *"))
def tidy() -> None:
    """Due each minute."""


@events.cron("* * * * * *", name="app.tick", overlap="allow", catch_up_all=True, catch_up="1h")
def tick() -> None:
    """Due each second; whatever was missed is caught up on."""
