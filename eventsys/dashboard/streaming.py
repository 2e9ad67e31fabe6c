"""Answers that go on for as long as somebody watches: server-sent events, for pages and for the API."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Send

from eventsys.dashboard.live import Live
from eventsys.dashboard.tailing import Tail

MEDIA_TYPE = "text/event-stream"

#: Seconds after which who was refused may ask again.
_AGAIN_S = 30

#: Seconds between two looks whether the server ends: so long a stream holds it up.
_LOOK_S = 0.5


def streamed(watched: Live | Tail, messages: AsyncGenerator[str]) -> StreamingResponse:
    """Return the messages as an answer.

    Raises:
        HTTPException: 503, if so many watch already that nobody more may.
    """
    if watched.is_full:
        raise HTTPException(503, "too many watch already", {"retry-after": str(_AGAIN_S)})
    return _Stream(watched, messages)


class _Stream(StreamingResponse):
    """An answer whose messages end with it, and it with the server.

    Who goes away while a message is being sent leaves them where they stand: nobody would tell the board that one
    watches less, until the garbage collector comes by.
    """

    body_iterator: AsyncGenerator[str]

    def __init__(self, watched: Live | Tail, messages: AsyncGenerator[str]) -> None:
        super().__init__(messages, media_type=MEDIA_TYPE)
        self._watched = watched

    async def stream_response(self, send: Send) -> None:
        """Send messages until there are no more, or nobody takes them."""
        ending = asyncio.create_task(_end_with_server(self._watched))
        try:
            await super().stream_response(send)
        finally:
            ending.cancel()
            await self.body_iterator.aclose()


async def _end_with_server(watched: Live | Tail) -> None:
    """Let nobody watch any more once the server begins to end.

    Where the dashboard is mounted in another application nobody tells it: uvicorn first waits for all answers to end,
    for ever unless it is given a limit, and only then ends the application.
    """
    while not _server_ends():
        await asyncio.sleep(_LOOK_S)
    watched.end()


def _server_ends() -> bool:
    """Say whether the uvicorn that runs this process was told to end: it is what takes the signals, and notes that."""
    takers = [getattr(signal.getsignal(number), "__self__", None) for number in (signal.SIGINT, signal.SIGTERM)]
    return any(getattr(taker, "should_exit", False) is True for taker in takers)
