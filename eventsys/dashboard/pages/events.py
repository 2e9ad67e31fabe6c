"""Pages of events: search, and one event with all that became of it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.asking import filter_from
from eventsys.dashboard.context import Bus
from eventsys.dashboard.pages.replays import CONDITIONS, as_conditions
from eventsys.dashboard.rendering import render
from eventsys.dashboard.tree import drawn
from eventsys.errors import InvalidCursorError
from eventsys.model.event import Attempt, DeliveryRecord
from eventsys.model.masking import shown_model
from eventsys.model.patterns import pattern_matches
from eventsys.model.queries import EventFilter
from eventsys.model.status import EventStatus

events = APIRouter()

#: Events of a chain that are drawn.
MOST_DRAWN = 100

#: Attempts that are shown of one delivery, the newest, and deliveries and attempts of all.
MOST_OF_A_DELIVERY, MOST_ROWS = 20, 100


@events.get("/events")
def list_events(request: Request, bus: Bus) -> Response:
    """Search the history."""
    asked = dict(request.query_params)
    wanted, fault = filter_from(EventFilter, asked, page_size=50)
    try:
        page = bus.get_event_records(wanted)
    except InvalidCursorError as error:
        wanted, fault = wanted.model_copy(update={"cursor": None}), str(error)
        page = bus.get_event_records(wanted)
    return render(
        request, "events.html", page=page, asked=asked, fault=fault, statuses=[one.value for one in EventStatus],
        conditions={name: asked[name] for name in CONDITIONS if asked.get(name)}, replayed=as_conditions(asked),
        subscriptions=[one.name for one in bus.subscriptions.declared()],
    )  # fmt: skip


@events.get("/events/{event_id:path}")
def show_event(request: Request, bus: Bus, event_id: str) -> Response:
    """Show one event: payload, deliveries, attempts, and the chain it belongs to."""
    record = shown_model(bus.get_event(event_id))
    tree = drawn(bus.store.trace(event_id, most=MOST_DRAWN))
    wanting = [one.name for one in bus.subscriptions.declared() if pattern_matches(one.pattern, record.type)]
    return render(
        request, "event.html", record=record, tree=tree, wanting=wanting, deliveries=_fitting(record.deliveries)
    )  # fmt: skip


def _fitting(deliveries: Sequence[DeliveryRecord]) -> list[tuple[DeliveryRecord, Sequence[Attempt]]]:
    """Return as many deliveries as a page has room for, with the newest attempts of each."""
    fitting: list[tuple[DeliveryRecord, Sequence[Attempt]]] = []
    rows = 0
    for one in deliveries:
        history = one.history[-MOST_OF_A_DELIVERY:]
        rows += 1 + len(history)
        if rows > MOST_ROWS:
            break
        fitting.append((one, history))
    return fitting
