"""The page of alerts: what is wrong now, what the rules are, and what was wrong lately."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.context import Bus
from eventsys.dashboard.rendering import render
from eventsys.model.catalog import SYSTEM_ERROR, SYSTEM_WARNING
from eventsys.model.queries import EventFilter
from eventsys.readable import shown
from eventsys.service import EventService

alerts = APIRouter()

#: Warnings and errors of the past that are listed.
_MOST_LISTED = 50


@alerts.get("/alerts")
def list_alerts(request: Request, bus: Bus) -> Response:
    """Show the alerts and troubles that go on, the rules with their limits, and the newest warnings and errors."""
    newest = EventFilter(types=(SYSTEM_WARNING, SYSTEM_ERROR), page_size=_MOST_LISTED)
    return render(
        request, "alerts.html", troubles=bus.bus.system.troubles(), rules=_rules(bus),
        past=bus.get_event_records(newest).items, posts=bus.settings.alerts.webhook_url is not None,
    )  # fmt: skip


def _rules(bus: EventService) -> list[tuple[str, str, str]]:
    """Return the rules: the name, what it says, its limit; empty where it is switched off."""
    limits = bus.settings.alerts
    window = shown(limits.window)
    ratio = "" if limits.failure_ratio is None else f"{limits.failure_ratio:.0%} of at least {limits.failure_attempts}"
    rows = [
        ("failure_ratio", f"of a subscription's attempts fail within {window}", ratio),
        ("backlog_age", "is how long a delivery is open", limits.backlog_age),
        ("lateness", "is how late the first of what is due is", limits.lateness),
        ("dead_letters", "dead letters are kept", limits.dead_letters),
        ("no_worker", "is how long messages wait that no worker reads", limits.no_worker),
        ("unrouted", f"events of one type that nobody wants, within {window}", limits.unrouted),
    ]
    return [(name, said, "" if limit in {None, ""} else shown(limit)) for name, said, limit in rows]
