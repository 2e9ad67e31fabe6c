"""Delayed events by HTTP: list, show, schedule, cancel, move, let go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer, answer_all
from eventsys.dashboard.api.publishing import NewEvent
from eventsys.dashboard.calendar import month_of
from eventsys.dashboard.changes import Desk
from eventsys.dashboard.context import Bus, Changes
from eventsys.model.event import DelayedEvent, DeliveryRecord, WaitingRetry
from eventsys.model.queries import MOST_IDS, EventFilter, Page

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


class ManyDelayed(BaseModel):
    """Which delayed events are meant: some ids, those of a filter, or all."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] | None = Field(default=None, min_length=1, max_length=MOST_IDS)
    filter: EventFilter | None = None
    """Its times are due times; its page does not count."""
    all: bool = False
    dry_run: bool = False
    """Only count them."""

    @model_validator(mode="after")
    def _check(self) -> ManyDelayed:
        if (self.ids is not None) + (self.filter is not None) + self.all != 1:
            raise ValueError("say which: ids, or a filter, or all")
        return self

    def wanted(self) -> EventFilter:
        """Return the filter that they fit."""
        if self.ids is not None:
            return EventFilter(ids=tuple(self.ids))
        return (self.filter or EventFilter()).model_copy(update={"cursor": None})


class ManyChanged(BaseModel):
    """How many events waited and fitted, or at least so many where that is not exact; and how many were changed."""

    matched: int
    is_exact: bool
    changed: int


class DueDay(BaseModel):
    """How much is due on one day: delayed events, and deliveries that are tried again."""

    day: date
    """In UTC."""
    due: int


class ARetry(BaseModel):
    """A delivery that waits for its next attempt."""

    model_config = ConfigDict(extra="forbid")

    event_id: str
    subscription: str


@delayed.get("", response_model=Page[AnEvent])
def list_delayed(bus: Bus, wanted: Annotated[EventFilter, Query()]) -> Response:
    """List what waits, the next one due first; the times asked for are due times."""
    return answer(bus.get_delayed_events(wanted))


@delayed.post("", status_code=201, response_model=AnEvent)
def schedule_event(desk: Changes, given: NewDelayedEvent) -> Response:
    """Publish an event later."""
    made = desk.change("delayed.schedule", given.type, lambda: desk.events.schedule(**given.arguments()))
    return answer(made, 201)


@delayed.get("/calendar", response_model=list[DueDay])
def show_calendar(
    bus: Bus, month: Annotated[str | None, Query(pattern="^2[0-9]{3}-(0[1-9]|1[0-2])$", examples=["2026-12"])] = None
) -> Response:
    """Count what is due on each day of a month, this one where none is named."""
    weeks = month_of(bus, month or "", bus.broker.clock.now()).weeks
    return answer_all([DueDay(day=one.day, due=one.due) for week in weeks for one in week if one.is_in_month])


@delayed.get("/retries", response_model=Page[WaitingRetry[dict[str, Any]]])
def list_retries(
    bus: Bus,
    subscription: str | None = None,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Response:
    """List the deliveries that failed and wait for their next attempt, the next one due first."""
    return answer(bus.delayed.get_waiting_retries(subscription, page=page, page_size=page_size, cursor=cursor))


@delayed.post("/retries/cancel", response_model=DeliveryRecord)
def cancel_retry(desk: Changes, retry: ARetry) -> Response:
    """End a delivery that waits for its next attempt, and show it as it then is: cancelled."""
    event_id, subscription = retry.event_id, retry.subscription
    return answer(
        desk.change(
            "deliveries.cancel", f"{event_id}:{subscription}",
            lambda: desk.events.delayed.cancel_delivery(event_id, subscription),
        )
    )  # fmt: skip


@delayed.post("/cancel", response_model=ManyChanged)
def cancel_many(desk: Changes, chosen: ManyDelayed) -> Response:
    """Take back all that are meant."""
    return _change_many(desk, chosen, "delayed.cancel", desk.events.store.delayed.many.cancel)


@delayed.post("/run", response_model=ManyChanged)
def run_many(desk: Changes, chosen: ManyDelayed) -> Response:
    """Let all fire now that are meant; what is scheduled meanwhile may be among them."""
    return _change_many(desk, chosen, "delayed.run", desk.events.store.delayed.many.fire)


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


def _change_many(desk: Desk, chosen: ManyDelayed, action: str, make: Callable[[EventFilter, int], int]) -> Response:
    wanted, now_ms = chosen.wanted(), desk.events.broker.clock.now_ms()
    count = desk.events.store.delayed.many.count(wanted)
    if chosen.dry_run:
        return answer(ManyChanged(matched=count.total, is_exact=count.is_exact, changed=0))
    told = chosen.model_dump(mode="json", exclude_defaults=True)
    changed = desk.change(action, "", lambda: make(wanted, now_ms), **told)
    return answer(ManyChanged(matched=count.total, is_exact=count.is_exact, changed=changed))
