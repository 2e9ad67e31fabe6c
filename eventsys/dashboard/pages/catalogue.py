"""Pages of event types: those that were published or registered; schema, publishers, subscribers; publishing one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.changes import published
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import Form, OurForm
from eventsys.dashboard.paging import rows_on
from eventsys.dashboard.problems import status_of
from eventsys.dashboard.profiles import profile_of, standings_of
from eventsys.dashboard.rendering import go_to, render
from eventsys.dashboard.room import fitting
from eventsys.dashboard.schema_form import Field, fields_of, has_room, object_in, payload_of
from eventsys.errors import EventsysError, InvalidEventError
from eventsys.model.identifiers import new_event_id
from eventsys.model.metrics import TypeMetrics
from eventsys.model.priority import Priority
from eventsys.service import EventService

catalogue = APIRouter()

#: Types on a page.
MOST_TYPES = 100

#: What else a form says of an event, by the names of `publish`.
_FIELDS = ("id", "source", "correlation_id", "idempotency_key")


@catalogue.get("/types")
def list_types(request: Request, bus: Bus, page: int = 1) -> Response:
    """List the types that this process knows, and those that were ever published."""
    return _list_page(request, bus, page=page)


@catalogue.post("/publish")
def publish_any(request: Request, desk: Changes, form: OurForm) -> Response:
    """Publish an event of any type, its payload written as JSON."""
    try:
        return _publish(request, desk, form, form.text("type"), [])
    except EventsysError as error:
        return _list_page(request, desk.events, form.fields, _fault(error), 422)


@catalogue.get("/types/{event_type}")
def show_type(request: Request, bus: Bus, event_type: str) -> Response:
    """Show one type: its schema, who publishes and wants it, its figures, and a form for a new event."""
    return _type_page(request, bus, event_type)


@catalogue.post("/types/{event_type}/publish")
def publish_one(request: Request, desk: Changes, form: OurForm, event_type: str) -> Response:
    """Publish an event from the form that was made of its schema, at once or later."""
    try:
        return _publish(request, desk, form, event_type, _form_fields(desk.events, event_type))
    except EventsysError as error:
        return _type_page(request, desk.events, event_type, form.fields, _fault(error), 422)


def _publish(request: Request, desk: Changes, form: Form, event_type: str, fields: list[Field]) -> Response:
    given: dict[str, Any] = {**form.given(*_FIELDS)}
    if form.text("priority"):
        given["priority"] = _priority(form.text("priority"))
    written = form.text("json")
    is_written = bool(written) or not fields or form.text("only") == "json"
    payload = object_in(written) if is_written else payload_of(fields, form.fields)
    delay = form.text("delay")
    if delay:
        later = desk.change(
            "delayed.schedule", event_type, lambda: desk.events.schedule(event_type, payload, delay=delay, **given),
            delay=delay,
        )  # fmt: skip
        return go_to(request, "events", later.id, done="scheduled")
    made = desk.change(
        "events.publish", event_type, lambda: published(lambda: desk.events.publish(event_type, payload, **given))
    )
    return go_to(request, "events", made.event.id, done="published" if made.is_handled else "failed")


def _list_page(
    request: Request, bus: EventService, asked: Mapping[str, str] | None = None, fault: str = "", status: int = 200,
    page: int = 1,
) -> Response:  # fmt: skip
    look = bus.store.metrics.look()
    return render(
        request, "types.html", status=status, rows=rows_on(page, standings_of(bus, look), MOST_TYPES),
        figures=look.by_type(with_oldest=False), fault=fault, **_filled(bus, asked),
    )  # fmt: skip


def _type_page(
    request: Request, bus: EventService, event_type: str, asked: Mapping[str, str] | None = None, fault: str = "",
    status: int = 200,
) -> Response:  # fmt: skip
    look = bus.store.metrics.look()
    figures = look.by_type(with_oldest=False).get(event_type) or TypeMetrics(event_type=event_type)
    profile = profile_of(bus, look, event_type)
    return render(
        request, "type.html", status=status, profile=profile, figures=figures, fields=_fields_in(profile.payload),
        fault=fault, **_filled(bus, asked),
    )  # fmt: skip


def _form_fields(bus: EventService, event_type: str) -> list[Field]:
    model = bus.catalog.model_for(event_type)
    return _fields_in(None if model is None else model.model_json_schema())


def _fields_in(schema: Mapping[str, Any] | None) -> list[Field]:
    """Return the fields of a form; none where a page has no room for all of them: the payload is then one field."""
    fields = [] if schema is None else fields_of(schema)
    return fields if has_room(fields) else []


def _filled(bus: EventService, asked: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what the form is filled in with, and which of its fields a page has no room for.

    Before anything is filled in it has the id, so that sending it twice publishes once.
    """
    filled, left_out = fitting(asked or {"id": new_event_id(bus.broker.clock.now_ms())})
    return {"asked": filled, "left_out": left_out, "priorities": Priority}


def _fault(error: EventsysError) -> str:
    """Return what is wrong with what was filled in; raise what is not the fault of who filled it in."""
    if status_of(error) >= 500:
        raise error
    return " ".join(str(error).split())


def _priority(text: str) -> Priority:
    try:
        return Priority[text.upper()]
    except KeyError as error:
        raise InvalidEventError(f"{text[:40]!r} is no priority; there are low, normal, high, critical") from error
