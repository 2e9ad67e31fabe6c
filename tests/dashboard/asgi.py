"""A client of an ASGI application that can do what real ones do: stop reading, and go away in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.support.waiting import eventually

HOST = b"127.0.0.1:8765"


async def until(claim: Callable[[], bool]) -> None:
    """Let the loop go on until something is so."""
    await asyncio.to_thread(eventually, claim)


class Exchange:
    """One request and its answer, under way in the loop of the test.

    Args:
        app: The application.
        path: What is asked for, with its query.
        method: How.
        body: What is sent, in parts.
        address: Where it seems to come from.
        headers: What else is said.
        takes: How many messages of the answer are taken before it reads no more; None: all.
    """

    def __init__(
        self,
        app: Any,
        path: str,
        *,
        method: str = "GET",
        body: tuple[bytes, ...] = (b"",),
        address: str = "127.0.0.1",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        takes: int | None = None,
    ) -> None:
        self.status = 0
        self.parts: list[bytes] = []
        self.stalls = asyncio.Event()
        self._takes = takes
        self._gone, self._came = asyncio.Event(), asyncio.Event()
        self._sent = iter([(part, at < len(body) - 1) for at, part in enumerate(body)])
        plain, _, query = path.partition("?")
        scope = {
            # As uvicorn has it: with this version an answer that streams runs beside what hears of a hang-up.
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": plain, "raw_path": plain.encode(), "query_string": query.encode(),
            "root_path": "", "headers": [(b"host", HOST), (b"origin", b"http://" + HOST), *headers],
            "server": ("127.0.0.1", 8765), "client": (address, 40_000),
        }  # fmt: skip
        self._task = asyncio.create_task(app(scope, self._receive, self._send))

    async def wait_for_parts(self, count: int) -> None:
        """Return when so many parts of the answer are here, or it has ended."""
        while len(self.parts) < count and not self._task.done():
            self._came.clear()
            arrives = asyncio.ensure_future(self._came.wait())
            await asyncio.wait([arrives, self._task], return_when=asyncio.FIRST_COMPLETED)
            arrives.cancel()

    async def go_away(self) -> None:
        """Hang up, and return when the application has noticed."""
        self._gone.set()
        await self._task

    async def end(self) -> bytes:
        """Return the whole answer."""
        await self._task
        return b"".join(self.parts)

    async def _receive(self) -> dict[str, Any]:
        for part, is_more in self._sent:
            return {"type": "http.request", "body": part, "more_body": is_more}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if self._takes is not None and len(self.parts) >= self._takes:
            self.stalls.set()
            await asyncio.Event().wait()
        self.parts.append(message.get("body", b""))
        self._came.set()
