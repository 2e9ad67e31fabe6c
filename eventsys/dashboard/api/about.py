"""What stands on every page, by HTTP: which bus this is, and what who asks may do."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.access import Role
from eventsys.dashboard.api.answering import answer
from eventsys.dashboard.context import Bus, Who, may_change

about = APIRouter(tags=["about"])


class About(BaseModel):
    """A bus, as one caller sees it."""

    bus: str
    """Its name."""
    role: Role
    """What the caller's token proves."""
    may_change: bool
    """Whether this caller may change anything here."""
    posts_alerts: bool
    """Whether what begins and ends to be wrong is posted to a webhook."""


@about.get("/about", response_model=About)
def show_about(request: Request, bus: Bus, who: Who) -> Response:
    """Show which bus this is, and what the caller may do."""
    settings = bus.settings
    return answer(
        About(
            bus=settings.name, role=who.role, may_change=may_change(request),
            posts_alerts=settings.alerts.webhook_url is not None,
        )
    )  # fmt: skip
