"""Delayed events by HTTP: list, show, schedule, cancel, move, let go."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer
from eventsys.dashboard.api.publishing import NewEvent
from eventsys.dashboard.context import Bus, Changes
from eventsys.model.event import DelayedEvent, WaitingRetry
from eventsys.model.queries import EventFilter, Page

delayed = APIRouter(prefix="/delayed", tags=["delayed events"])

AnEvent = DelayedEvent[dict[str, Any]]


class NewTime(BaseModel):
    """When an event is due: one of both."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = None
    delay: str | None = None
    """How long from now: `10m`."""


class NewDelayedEvent(NewEvent):
    """An event to publish later: give `at` or `delay`."""

    at: AwareDatetime | None = None
    delay: str | None = None
    key: str | None = None
    """The caller's name for it; another one that waits under it is cancelled."""


@delayed.get("", response_model=Page[AnEvent])
def list_delayed(bus: Bus, wanted: Annotated[EventFilter, Query()]) -> Response:
    """List what waits, the next one due first; the times asked for are due times."""
    return answer(bus.get_delayed_events(wanted))


@delayed.post("", status_code=201, response_model=AnEvent)
def schedule_event(desk: Changes, given: NewDelayedEvent) -> Response:
    """Publish an event later."""
    made = desk.change("delayed.schedule", given.type, lambda: desk.events.schedule(**given.arguments()))
    return answer(made, 201)


@delayed.get("/retries", response_model=Page[WaitingRetry[dict[str, Any]]])
def list_retries(
    bus: Bus,
    subscription: str | None = None,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """List the deliveries that failed and wait for their next attempt, the next one due first."""
    return answer(bus.delayed.get_waiting_retries(subscription, page=page, page_size=page_size))


@delayed.post("/{event_id:path}/cancel", response_model=AnEvent)
def cancel_event(desk: Changes, event_id: str) -> Response:
    """Take an event back; of one that has fired, the deliveries end that nobody has begun."""
    return answer(desk.change("delayed.cancel", event_id, lambda: desk.events.cancel(event_id)))


@delayed.post("/{event_id:path}/reschedule", response_model=AnEvent)
def reschedule_event(desk: Changes, event_id: str, when: NewTime) -> Response:
    """Let a delayed event wait for another time."""
    told = when.model_dump(mode="json")
    return answer(
        desk.change(
            "delayed.reschedule", event_id,
            lambda: desk.events.reschedule(event_id, at=when.at, delay=when.delay), **told,
        )
    )  # fmt: skip


@delayed.post("/{event_id:path}/run", response_model=AnEvent)
def run_event(desk: Changes, event_id: str) -> Response:
    """Let a delayed event fire now."""
    return answer(desk.change("delayed.run", event_id, lambda: desk.events.run_now(event_id)))


@delayed.get("/{event_id:path}", response_model=AnEvent)
def show_delayed(bus: Bus, event_id: str) -> Response:
    """Show a delayed event: one that waits, or what became of it."""
    return answer(bus.get_delayed_event(event_id))
