"""The live tail: events as they are stored."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.rendering import render
from eventsys.dashboard.streaming import streamed
from eventsys.dashboard.tailing import Tail
from eventsys.model.patterns import check_pattern

tail = APIRouter()


@tail.get("/tail")
def show_tail(request: Request) -> Response:
    """Show events as they come; a page of its own, which fills itself."""
    asked = request.query_params.get("types", "")
    for one in _patterns(asked):
        check_pattern(one)
    return render(request, "tail.html", asked={"types": asked})


@tail.get("/tail/events")
async def stream_events(request: Request, types: str = "") -> Response:
    """Give events as they are stored, as server-sent events."""
    watching: Tail = request.app.state.tail
    patterns = [check_pattern(one) for one in _patterns(types)]
    return streamed(watching, watching.watch(patterns))


def _patterns(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
