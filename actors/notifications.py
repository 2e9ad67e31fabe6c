"""Tell users things: a welcome some time after they registered, a word about each login."""

import logging
from typing import Any

from pydantic import BaseModel

from actors.app import events
from eventsys import DelayedEvent, Event, Priority

logger = logging.getLogger(__name__)


class Notification(BaseModel):
    """A message to one user."""

    user_id: str
    title: str
    content: str
    type: str = "message"


# From now on `publish` and `schedule` refuse a payload that is no Notification.
events.type("user.notification", Notification)


def schedule_welcome(user_id: str, *, delay: str = "10m") -> DelayedEvent[Any]:
    """Have a user welcomed after `delay`; `events.cancel(returned.id)` takes it back until then."""
    notification = Notification(
        user_id=user_id, title="Welcome", content="Thank you for joining us. Enjoy your stay!", type="welcome"
    )
    return events.schedule(
        "user.notification",
        notification,
        source="notification-service",
        delay=delay,
        priority=Priority.HIGH,
        max_retries=3,
    )


@events.on("user.notification", name="notifications.send", max_retries=3, retry_delay="5s", timeout="30s")
def send_notification(event: Event[Notification]) -> None:
    """Send a notification to its user."""
    logger.info("to %s: %s", event.payload.user_id, event.payload.title)


@events.on("user.login", name="notifications.login")
def tell_of_login(event: Event) -> None:
    """Tell the user about a login, so that one by somebody else is noticed. Without a model the payload is a dict."""
    logger.info("to %s: you logged in from %s", event.payload["user_id"], event.payload.get("ip"))
