"""Pages of dead letters: search, one with its traceback, sending again and dropping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.asking import filter_from
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.forms import OurForm
from eventsys.dashboard.rendering import go_to, render
from eventsys.errors import InvalidCursorError
from eventsys.model.dead_letter import DeadLetterFilter
from eventsys.model.masking import shown_model

letters = APIRouter()

_CONDITIONS = ("subscription", "actor", "types", "reason", "start_time", "end_time")


@letters.get("/dead-letters")
def list_letters(request: Request, bus: Bus) -> Response:
    """Search the dead letters."""
    asked = dict(request.query_params)
    wanted, fault = filter_from(DeadLetterFilter, asked, page_size=50)
    try:
        page = bus.dead_letters.list(wanted)
    except InvalidCursorError as error:
        fault = str(error)
        page = bus.dead_letters.list(wanted.model_copy(update={"cursor": None}))
    conditions = {name: asked[name] for name in _CONDITIONS if asked.get(name)}
    return render(request, "letters.html", page=page, asked=asked, fault=fault, conditions=conditions)


@letters.get("/dead-letters/confirm/{verb}")
def confirm(request: Request, bus: Bus, verb: str) -> Response:
    """Count what a change of many would change, before anybody says yes."""
    _check(verb)
    wanted, conditions = _wanted(request.query_params)
    count, is_exact = bus.dead_letters.count_some(wanted)
    return render(request, "confirm.html", verb=verb, count=count, is_exact=is_exact, conditions=conditions)


@letters.post("/dead-letters/all/{verb}")
def change_many(request: Request, desk: Changes, form: OurForm, verb: str) -> Response:
    """Send all again that fit, or drop them for good; what dies meanwhile is left alone."""
    _check(verb)
    wanted, conditions = _wanted(form.fields)
    found = desk.events.dead_letters
    if verb == "redrive":
        result = desk.change(
            "letters.redrive", "", lambda: found.redrive_all(wanted, rate=form.text("rate") or None),
            filter=conditions, rate=form.text("rate") or None,
        )  # fmt: skip
        return render(request, "many.html", verb=verb, count=result.redriven, refused=result.refused)
    count = desk.change("letters.purge", "", lambda: found.purge_all(wanted), filter=conditions)
    return render(request, "many.html", verb=verb, count=count, refused={})


@letters.post("/dead-letters/{letter_id:path}/redrive")
def redrive_letter(request: Request, desk: Changes, form: OurForm, letter_id: str) -> Response:
    """Send one dead letter again."""
    force = form.text("force") == "yes"
    desk.change("letters.redrive", letter_id, lambda: desk.events.dead_letters.redrive(letter_id, force=force))
    return go_to(request, "dead-letters", done="redriven")


@letters.post("/dead-letters/{letter_id:path}/purge")
def purge_letter(request: Request, desk: Changes, form: OurForm, letter_id: str) -> Response:
    """Drop one dead letter for good."""
    del form
    desk.events.dead_letters.show(letter_id)  # says that there is none, before anything is on record
    desk.change("letters.purge", letter_id, lambda: desk.events.dead_letters.purge(letter_id))
    return go_to(request, "dead-letters", done="purged")


@letters.get("/dead-letters/{letter_id:path}")
def show_letter(request: Request, bus: Bus, letter_id: str) -> Response:
    """Show one dead letter: why it died, its traceback, its event."""
    return render(request, "letter.html", letter=shown_model(bus.dead_letters.show(letter_id)))


def _check(verb: str) -> None:
    if verb not in {"redrive", "purge"}:
        raise HTTPException(404, "dead letters are sent again (redrive) or dropped (purge)")


def _wanted(asked: Mapping[str, Any]) -> tuple[DeadLetterFilter, dict[str, str]]:
    """Return the filter, and its conditions as they were said; one that is misspelt must not become `all`."""
    unknown = sorted(set(asked) - {*_CONDITIONS, "rate"})
    if unknown:
        raise HTTPException(422, f"{', '.join(unknown)}: unknown; dead letters are chosen by {', '.join(_CONDITIONS)}")
    conditions = {name: str(asked[name]) for name in _CONDITIONS if asked.get(name)}
    wanted, fault = filter_from(DeadLetterFilter, conditions)
    if fault:
        raise HTTPException(422, f"these conditions cannot be: {fault}")
    return wanted, conditions
