"""The live tail: events as they are stored."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.rendering import render
from eventsys.dashboard.streaming import streamed
from eventsys.dashboard.tailing import MOST_PATTERNS, Tail
from eventsys.errors import InvalidPatternError
from eventsys.model.patterns import check_pattern

tail = APIRouter()


@tail.get("/tail")
def show_tail(request: Request) -> Response:
    """Show events as they come; a page of its own, which fills itself."""
    asked = request.query_params.get("types", "")
    _patterns(asked)
    return render(request, "tail.html", asked={"types": asked})


@tail.get("/tail/events")
async def stream_events(request: Request, types: str = "") -> Response:
    """Give events as they are stored, as server-sent events."""
    watching: Tail = request.app.state.tail
    return streamed(watching, watching.watch(_patterns(types)))


def _patterns(text: str) -> list[str]:
    """Return the patterns that were written, each once.

    Raises:
        InvalidPatternError: If one is none, or there are more than one may watch.
    """
    found = list(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    if len(found) > MOST_PATTERNS:
        raise InvalidPatternError(
            f"{len(found):,} patterns, and at most {MOST_PATTERNS} can be watched at once; one with a wildcard, such as"
            " 'order.#', stands for many"
        )
    return [check_pattern(one) for one in found]
