"""Pages of delayed events: what waits, and moving, cancelling and letting go of it."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.asking import filter_from
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.rendering import go_to, render
from eventsys.model.queries import EventFilter

delayed = APIRouter()


@delayed.get("/delayed")
def list_delayed(request: Request, bus: Bus) -> Response:
    """List what waits, the next one due first, and the deliveries that are tried again."""
    asked = dict(request.query_params)
    wanted, fault = filter_from(EventFilter, asked, page_size=50, status=None)
    return render(
        request, "delayed.html", page=bus.get_delayed_events(wanted), asked=asked, fault=fault,
        retries=bus.delayed.get_waiting_retries(page_size=20), now=bus.broker.clock.now(),
    )  # fmt: skip


@delayed.post("/delayed/{event_id:path}/cancel")
def cancel_event(request: Request, desk: Changes, form: OurForm, event_id: str) -> Response:
    """Take an event back."""
    del form  # that it is ours is all there is to it
    desk.change("delayed.cancel", event_id, lambda: desk.events.cancel(event_id))
    return go_to(request, "delayed", done="cancelled")


@delayed.post("/delayed/{event_id:path}/run")
def run_event(request: Request, desk: Changes, form: OurForm, event_id: str) -> Response:
    """Let a delayed event fire now."""
    del form
    desk.change("delayed.run", event_id, lambda: desk.events.run_now(event_id))
    return go_to(request, "delayed", done="let-go")


@delayed.post("/delayed/{event_id:path}/reschedule")
def reschedule_event(request: Request, desk: Changes, form: OurForm, event_id: str) -> Response:
    """Let a delayed event wait for another time: a date and time in UTC, or a duration from now."""
    at, delay = _moment(form.text("at")), form.text("delay") or None
    desk.change(
        "delayed.reschedule", event_id, lambda: desk.events.reschedule(event_id, at=at, delay=delay),
        at=at and at.isoformat(), delay=delay,
    )  # fmt: skip
    return go_to(request, "delayed", done="moved")


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise HTTPException(422, f"{text!r} is no date and time, such as 2026-12-24T18:00") from error
