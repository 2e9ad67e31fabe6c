"""Pages of delayed events: what waits, as a list and a calendar; moving, cancelling and letting go of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.asking import filter_from
from eventsys.dashboard.calendar import month_of
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.rendering import go_to, render
from eventsys.errors import InvalidEventError
from eventsys.model.queries import EventFilter

delayed = APIRouter()

CONDITIONS = ("ids", "types", "sources", "start_time", "end_time", "correlation_id")


@delayed.get("/delayed")
def list_delayed(request: Request, bus: Bus) -> Response:
    """List what waits, the next one due first, and the deliveries that are tried again; beside it a month of it."""
    asked, now = dict(request.query_params), bus.broker.clock.now()
    wanted, fault = filter_from(EventFilter, asked, page_size=50, status=None)
    try:
        page = bus.get_delayed_events(wanted)
    except InvalidEventError as error:
        fault, page = (
            str(error),
            bus.get_delayed_events(wanted.model_copy(update={"cursor": None, "subscription": None})),
        )
    return render(
        request, "delayed.html", page=page, asked=asked, fault=fault, now=now,
        conditions={name: asked[name] for name in CONDITIONS if asked.get(name)},
        month=month_of(bus, asked.get("month", ""), now), retries=bus.delayed.get_waiting_retries(page_size=20),
    )  # fmt: skip


@delayed.get("/delayed-many/{verb}")
def confirm(request: Request, bus: Bus, verb: str) -> Response:
    """Count what a change of many would change, before anybody says yes."""
    _check(verb)
    wanted, conditions = _wanted(request.query_params.multi_items())
    count = bus.store.delayed.many.count(wanted)
    return render(request, "delayed_many.html", verb=verb, count=count, conditions=conditions, changed=None)


@delayed.post("/delayed-many/{verb}")
def change_many(request: Request, desk: Changes, form: OurForm, verb: str) -> Response:
    """Take back all that fit, or let them all go; what is scheduled meanwhile may be among them."""
    _check(verb)
    wanted, conditions = _wanted(form.pairs)
    many, now_ms = desk.events.store.delayed.many, desk.events.broker.clock.now_ms()
    make = many.cancel if verb == "cancel" else many.fire
    changed = desk.change(f"delayed.{verb}", "", lambda: make(wanted, now_ms), filter=_told(conditions))
    return render(request, "delayed_many.html", verb=verb, count=None, conditions=conditions, changed=changed)


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


@delayed.post("/retries/cancel")
def cancel_retry(request: Request, desk: Changes, form: OurForm) -> Response:
    """End a delivery that waits for its next attempt."""
    event_id, subscription = form.text("event_id"), form.text("subscription")
    desk.change(
        "deliveries.cancel", f"{event_id}:{subscription}",
        lambda: desk.events.delayed.cancel_delivery(event_id, subscription),
    )  # fmt: skip
    return go_to(request, "delayed", done="cancelled")


def _check(verb: str) -> None:
    if verb not in {"cancel", "run"}:
        raise HTTPException(404, "delayed events are taken back (cancel) or let go (run)")


def _wanted(asked: Sequence[tuple[str, str]]) -> tuple[EventFilter, list[tuple[str, str]]]:
    """Return the filter, and its conditions as they were said; one that is misspelt must not become `all`."""
    unknown = sorted({name for name, _ in asked} - set(CONDITIONS))
    if unknown:
        raise HTTPException(422, f"{', '.join(unknown)}: unknown; delayed events are chosen by {', '.join(CONDITIONS)}")
    ids = [text for name, text in asked if name == "ids" and text]
    conditions = {name: text for name, text in asked if name != "ids" and text}
    wanted, fault = filter_from(EventFilter, conditions, ids=tuple(ids), status=None)
    if fault:
        raise HTTPException(422, f"these conditions cannot be: {fault}")
    return wanted, [*conditions.items(), *(("ids", one) for one in ids)]


def _told(conditions: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the conditions for the record."""
    told: dict[str, list[str]] = {}
    for name, text in conditions:
        told.setdefault(name, []).append(text)
    return told


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(422, f"{text!r} is no date and time, such as 2026-12-24T18:00") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
