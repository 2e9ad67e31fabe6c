"""The page of alerts: what is wrong now, what the rules are, and what was wrong lately."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.alert_rules import rules_of
from eventsys.dashboard.context import Bus
from eventsys.dashboard.rendering import render
from eventsys.model.catalog import SYSTEM_ERROR, SYSTEM_WARNING
from eventsys.model.queries import EventFilter

alerts = APIRouter()

#: Warnings and errors of the past that are listed.
_MOST_LISTED = 50

#: Troubles that are shown.
_MOST_TROUBLES = 25


@alerts.get("/alerts")
def list_alerts(request: Request, bus: Bus) -> Response:
    """Show the alerts and troubles that go on, the rules with their limits, and the newest warnings and errors."""
    newest = EventFilter(types=(SYSTEM_WARNING, SYSTEM_ERROR), page_size=_MOST_LISTED)
    return render(
        request, "alerts.html", troubles=bus.bus.system.troubles(), rules=rules_of(bus.settings.alerts),
        past=bus.get_event_records(newest).items, posts=bus.settings.alerts.webhook_url is not None,
        most_troubles=_MOST_TROUBLES,
    )  # fmt: skip
