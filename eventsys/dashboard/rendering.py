"""Pages from templates: every value is text, and nothing in it becomes a tag."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from eventsys.dashboard.context import caller_of, may_change
from eventsys.dashboard.forms import FIELD, keep_cookie, token_for
from eventsys.dashboard.room import MOST_OF_ONE, Room, brief
from eventsys.readable import many, shown, visible

#: What a page says after a change, by the word in its address; a word that is not here says nothing.
DONE = {
    "cancelled": "It was taken back.",
    "moved": "It has another time now.",
    "let-go": "It fires now.",
    "redriven": "It was sent again.",
    "purged": "It was dropped for good.",
    "paused": "It is paused.",
    "resumed": "It goes on.",
    "running": "A run has begun.",
    "published": "It was published.",
    "failed": "It was published, and a handler that runs at once failed.",
    "scheduled": "It waits for its time.",
    "replaying": "The replay has begun; worker processes carry it on.",
    "ended": "It has ended.",
    "created": "The task was created.",
    "changed": "The task was changed.",
    "deleted": "The task was deleted.",
}

_NAVIGATION = (
    ("", "Overview"), ("events", "Events"), ("delayed", "Delayed"), ("dead-letters", "Dead letters"),
    ("cron", "Cron"), ("subscriptions", "Subscriptions"), ("workers", "Workers"), ("types", "Catalogue"),
    ("alerts", "Alerts"),
)  # fmt: skip


def render(request: Request, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:
    """Return a page.

    Args:
        request: Who asks, and where this is mounted.
        template: Its file.
        status: Of the answer.
        **facts: What it shows.
    """
    is_changing = may_change(request)

    def path(*parts: str, **query: Any) -> str:
        return path_to(request, *parts, **query)

    text = _templates.get_template(template).render(
        path=path, navigation=_NAVIGATION, caller=caller_of(request), may_change=is_changing, form_field=FIELD,
        form_token=token_for(request) if is_changing else "", done=DONE.get(request.query_params.get("done", "")),
        bus=request.app.state.events.settings.name, room=Room(), **facts,
    )  # fmt: skip
    response = HTMLResponse(text, status)
    keep_cookie(request, response)
    return response


def prepare_templates() -> None:
    """Read every template now: the first who asks for a page would wait for it longer than for all the rest."""
    for name in _templates.list_templates(extensions=["html"]):
        _templates.get_template(name)


def path_to(request: Request, *parts: str, **query: Any) -> str:
    """Return the path of a page of this dashboard, wherever it is mounted.

    Args:
        request: What is answered.
        *parts: Its parts, each written so that nothing in it is a separator.
        **query: What stands behind the question mark; None and empty text are left out.
    """
    root = str(request.scope.get("root_path", "")).rstrip("/")
    path = f"{root}/{'/'.join(quote(part, safe='') for part in parts)}"
    asked = {name: value for name, value in query.items() if value not in {None, ""}}
    return f"{path}?{urlencode(asked)}" if asked else path


def go_to(request: Request, *parts: str, done: str = "") -> RedirectResponse:
    """Return what leads a browser on after a change, so that loading again does not repeat it."""
    return RedirectResponse(path_to(request, *parts, done=done), 303)


def _when(moment: datetime | None) -> Markup:
    if moment is None:
        return Markup("-")
    parts = Markup('<time datetime="{}"><span>{}</span> <span>{}</span></time>')
    return parts.format(moment.isoformat(), f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}")


@pass_context
def _pretty(context: Context, value: Any, command: str) -> str:
    """Return JSON on several lines; what could hide or reorder text is escaped."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else to_jsonable_python(value)
    parts, length = [], 0
    for part in _indented.iterencode(plain):
        parts.append(part)
        length += len(part)
        if length > MOST_OF_ONE:  # the rest of a large one is not shown, and takes longer than all else on the page
            length = max(length, len(json.dumps(plain, ensure_ascii=False)))
            break
    return _fitting_lines(context, "".join(parts), length, command)


_indented = json.JSONEncoder(indent=2, ensure_ascii=False)


@pass_context
def _lines(context: Context, text: str, command: str) -> str:
    """Return text of several lines, with everything else that is not printable as an escape.

    Args:
        context: Of the template, with the room that is left on its page.
        text: What is shown as far as there is room for it.
        command: What shows the whole; the line behind what was cut names it.
    """
    return _fitting_lines(context, text, len(text), command)


def _fitting_lines(context: Context, text: str, length: int, command: str) -> str:
    """Return the same for the beginning of a text; `length` is that of the whole."""
    # An escape has up to ten letters: what is looked at is bounded before each of them is.
    looked_at = text[:MOST_OF_ONE]
    written = "\n".join(visible(line.replace("\t", "    ")) for line in looked_at.split("\n"))
    cut = context["room"].cut(written)
    if len(cut) == len(written) and len(looked_at) == length:
        return written
    return f"{cut}\n… cut here, of {length:,} letters: {command} shows all"


def _compact(value: Any) -> str:
    return visible(json.dumps(value, ensure_ascii=False))


def _quoted(text: str) -> str:
    """Return text as a word of a command."""
    return shlex.quote(visible(text))


def _seconds(value: float) -> str:
    return shown(timedelta(seconds=value))


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    filters: Mapping[str, Any] = {
        "when": _when, "shown": shown, "pretty": _pretty, "lines": _lines, "ratio": _ratio, "visible": visible,
        "compact": _compact, "seconds": _seconds, "brief": brief, "quoted": _quoted,
        "many": lambda count, one: many(count, one, f"{one}s"),
    }  # fmt: skip
    made.filters.update(filters)
    return made


_templates = _environment()
