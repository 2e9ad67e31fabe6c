"""Answers that go on for as long as somebody watches: server-sent events, for pages and for the API."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from eventsys.dashboard.live import Live
from eventsys.dashboard.tailing import Tail

MEDIA_TYPE = "text/event-stream"

#: Seconds after which who was refused may ask again.
_AGAIN_S = 30


def streamed(watched: Live | Tail, messages: AsyncIterator[str]) -> StreamingResponse:
    """Return the messages as an answer.

    Raises:
        HTTPException: 503, if so many watch already that nobody more may.
    """
    if watched.is_full:
        raise HTTPException(503, "too many watch already", {"retry-after": str(_AGAIN_S)})
    return StreamingResponse(messages, media_type=MEDIA_TYPE)
