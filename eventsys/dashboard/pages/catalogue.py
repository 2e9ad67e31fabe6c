"""Pages of event types: those that were published or registered, with schema and subscribers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.context import Bus
from eventsys.dashboard.rendering import render
from eventsys.errors import NotFoundError
from eventsys.model.metrics import TypeMetrics
from eventsys.model.patterns import pattern_matches
from eventsys.service import EventService

catalogue = APIRouter()


@catalogue.get("/types")
def list_types(request: Request, bus: Bus) -> Response:
    """List the types that this process knows, and those that were ever published."""
    figures = bus.get_metrics(by="type")
    names = sorted({*figures, *bus.catalog.registered()})
    rows = [(name, bus.catalog.model_for(name), figures.get(name)) for name in names]
    return render(request, "types.html", rows=rows)


@catalogue.get("/types/{event_type}")
def show_type(request: Request, bus: Bus, event_type: str) -> Response:
    """Show one type: its schema, who wants it, its figures."""
    model, figures = bus.catalog.model_for(event_type), bus.get_metrics(by="type").get(event_type)
    if model is None and figures is None:
        raise NotFoundError(f"no event of type {event_type!r} was published, and no model is registered for it")
    return render(
        request, "type.html", event_type=event_type, version=bus.catalog.version_for(event_type),
        schema=None if model is None else model.model_json_schema(),
        figures=figures or TypeMetrics(event_type=event_type), wanted_by=_subscribers(bus, event_type),
    )  # fmt: skip


def _subscribers(bus: EventService, event_type: str) -> list[str]:
    return [one.name for one in bus.subscriptions.list() if pattern_matches(one.subscription.pattern, event_type)]
