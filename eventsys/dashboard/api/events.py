"""Events by HTTP: list, show, trace, publish."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer, answer_all
from eventsys.dashboard.api.publishing import CONTENT, Sent, sent_events
from eventsys.dashboard.changes import published
from eventsys.dashboard.context import Bus, Changes
from eventsys.model.event import Event, EventRecord
from eventsys.model.queries import EventFilter, Page
from eventsys.model.trace import Trace

events = APIRouter(prefix="/events", tags=["events"])

#: Events of a chain that one answer has at most.
MOST_OF_CHAIN = 5_000


@events.get("", response_model=Page[EventRecord[dict[str, Any]]])
def list_events(bus: Bus, wanted: Annotated[EventFilter, Query()]) -> Response:
    """List events, the newest first; `next_cursor`, given as `cursor`, leads on."""
    return answer(bus.get_event_records(wanted))


@events.post(
    "",
    status_code=201,
    response_model=Event[dict[str, Any]] | list[Event[dict[str, Any]]],
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
def publish_events(desk: Changes, sent: Annotated[Sent, Depends(sent_events)]) -> Response:
    """Publish an event, or a batch; stored durably when this answers.

    201 with what was stored; 200 where it was stored before, under its id or its `Idempotency-Key`. Where a handler
    failed that runs at once, the header `eventsys-handler` says `failed`, and the event's record tells of it.
    """
    if sent.is_batch:
        many = desk.change("events.publish", "", lambda: desk.events.publish_many(sent.events), events=len(sent.events))
        return answer_all(many, 201)
    [given] = sent.events
    made = desk.change("events.publish", _type_of(given), lambda: published(lambda: _publish(desk.events, given)))
    # Relative to what was asked, so that it holds wherever this is mounted.
    headers = {"location": f"events/{quote(made.event.id, safe='')}"}
    if not made.is_handled:
        headers["eventsys-handler"] = "failed"
    return answer(made.event, 200 if made.event.duplicate else 201, headers)


@events.get("/{event_id:path}/trace", response_model=Trace)
def trace_event(bus: Bus, event_id: str, limit: Annotated[int, Query(ge=1, le=MOST_OF_CHAIN)] = 500) -> Response:
    """Tell what led to what: the chain of an event, by its id or a correlation id, as a tree."""
    return answer(bus.store.trace(event_id, most=limit))


@events.get("/{event_id:path}", response_model=EventRecord[dict[str, Any]])
def show_event(bus: Bus, event_id: str) -> Response:
    """Show an event with every delivery: attempts, errors, times."""
    return answer(bus.get_event(event_id))


def _publish(bus: Any, given: Any) -> Event[Any]:
    event: Event[Any] = bus.publish(given) if isinstance(given, Event) else bus.publish(**given)
    return event


def _type_of(given: Any) -> str:
    return str(given.type if isinstance(given, Event) else given["event_type"])
