"""What goes on for as long as somebody watches, by HTTP: figures as they change, events as they are stored."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.live import Live
from eventsys.dashboard.streaming import MEDIA_TYPE, streamed
from eventsys.dashboard.tailing import MOST_PATTERNS, Tail
from eventsys.model.patterns import check_pattern

streams = APIRouter(tags=["streams"])

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, until who watches is gone.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


@streams.get("/live", response_class=Response, responses=_STREAM)
async def watch_figures(request: Request) -> Response:
    """Give the figures of the bus every two seconds, as server-sent events.

    `metrics` has what `GET /metrics` answers; `away` tells why there are no figures just now.
    """
    live: Live = request.app.state.live
    return streamed(live, live.watch(for_page=False))


@streams.get("/tail", response_class=Response, responses=_STREAM)
async def watch_events(
    request: Request, types: Annotated[list[str] | None, Query(max_length=MOST_PATTERNS)] = None
) -> Response:
    """Give events as they are stored, as server-sent events: all, or those of some types, such as `order.*`.

    `following` comes first, once nothing that is stored from then on is missed. `events` has those that came since the
    last message, without payloads, and how many were left out because they came too fast; `away` tells why the log
    cannot be followed just now, and `following` when it is again, with what was stored meanwhile.
    """
    tail: Tail = request.app.state.tail
    return streamed(tail, tail.watch([check_pattern(one) for one in types or ()]))
