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


def _rules(bus: EventService) -> list[tuple[str, str]]:
    """Return the rules: the name, and when it warns; nothing where it is switched off."""
    limits = bus.settings.alerts
    window = shown(limits.window)
    ratio = limits.failure_ratio
    rows: list[tuple[str, object, str]] = [
        ("failure_ratio", None if ratio is None else f"{ratio:.0%}",
         f"{{}} of at least {limits.failure_attempts} attempts of a subscription failed within {window}"),
        ("backlog_age", limits.backlog_age, "a delivery of a subscription has been open for {}"),
        ("lateness", limits.lateness, "what is due has not been let go for {}"),
        ("dead_letters", limits.dead_letters, "{} dead letters are kept"),
        ("no_worker", limits.no_worker, "messages have waited for {} in a queue that no worker reads"),
        ("unrouted", limits.unrouted, f"nobody wanted {{}} events of one type within {window}"),
    ]  # fmt: skip
    return [(name, "" if limit is None else said.format(shown(limit))) for name, limit, said in rows]
