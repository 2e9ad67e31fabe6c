"""Event types by HTTP: which there are, who publishes and who wants each, and its schema."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer, answer_all
from eventsys.dashboard.context import Bus
from eventsys.dashboard.profiles import TypeProfile, TypeStanding, profile_of, standings_of

types = APIRouter(prefix="/types", tags=["types"])


@types.get("", response_model=list[TypeStanding])
def list_types(bus: Bus) -> Response:
    """List the event types that were published or are registered where the dashboard runs, with who wants each."""
    return answer_all(standings_of(bus, bus.store.metrics.look()))


@types.get("/{event_type}", response_model=TypeProfile)
def show_type(bus: Bus, event_type: str) -> Response:
    """Show one type: who publishes it, who wants it, and the schema of its payload."""
    return answer(profile_of(bus, bus.store.metrics.look(), event_type))
