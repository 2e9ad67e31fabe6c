"""Answers that go on for as long as somebody watches: server-sent events, for pages and for the API."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Send

from eventsys.dashboard.live import Live
from eventsys.dashboard.tailing import Tail

MEDIA_TYPE = "text/event-stream"

#: Seconds after which who was refused may ask again.
_AGAIN_S = 30


def streamed(watched: Live | Tail, messages: AsyncGenerator[str]) -> StreamingResponse:
    """Return the messages as an answer.

    Raises:
        HTTPException: 503, if so many watch already that nobody more may.
    """
    if watched.is_full:
        raise HTTPException(503, "too many watch already", {"retry-after": str(_AGAIN_S)})
    return _Stream(messages, media_type=MEDIA_TYPE)


class _Stream(StreamingResponse):
    """An answer whose messages end with it.

    Who goes away while a message is being sent leaves them where they stand: nobody would tell the board that one
    watches less, until the garbage collector comes by.
    """

    body_iterator: AsyncGenerator[str]

    async def stream_response(self, send: Send) -> None:
        """Send messages until there are no more, or nobody takes them."""
        try:
            await super().stream_response(send)
        finally:
            await self.body_iterator.aclose()
