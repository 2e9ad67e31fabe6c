"""Users sign up, log in and log out."""

import logging
from typing import Any

from pydantic import BaseModel

from actors.app import events
from actors.notifications import schedule_welcome
from eventsys import Event, catalog

logger = logging.getLogger(__name__)


class Session(BaseModel):
    """What the handlers here want to know of a session; other fields of the event do not concern them."""

    user_id: str
    ip: str | None = None
    device: str | None = None


def report_login(user_id: str, *, ip: str, device: str = "web") -> Event[Any]:
    """Publish that a user logged in, and return the event. It is stored when this returns."""
    login = {"user_id": user_id, "ip": ip, "device": device}
    return events.publish(catalog.USER_LOGIN, login, source="auth-service")


@events.on("user.registered", name="sessions.welcome")
def welcome(event: Event[Session]) -> None:
    """Schedule the welcome of a new user; it is scheduled only if this handler succeeds."""
    schedule_welcome(event.payload.user_id)


@events.on("user.login", name="sessions.open")
def open_session(event: Event[Session]) -> None:
    """Open the user's session."""
    logger.info("session of %s opened on %s", event.payload.user_id, event.payload.device)


@events.on("user.logout", name="sessions.close")
async def close_session(event: Event[Session]) -> None:
    """Close the user's session; a handler may be a coroutine function."""
    logger.info("session of %s closed", event.payload.user_id)
