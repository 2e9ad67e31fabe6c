"""The dashboard, asked with bytes that somebody made up: every route, every content type."""

from __future__ import annotations

import atexit
import itertools
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from eventsys import EventService
from eventsys.dashboard import dashboard
from eventsys.runtime.embedded import EmbeddedRedis
from tests.dashboard.routes import CHANGES, LOOKS

ROUTES = sorted({*CHANGES, *LOOKS})

CONTENT_TYPES = (
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "",
)

CLOUD_EVENT = b'{"specversion":"1.0","id":"1","source":"s","type":"a.b","data":{"n":1}}'


class BrokenAnswerError(AssertionError):
    """An answer that says that we made a mistake: whatever is sent, it is the sender's."""


@cache
def _client() -> TestClient:
    directory = tempfile.TemporaryDirectory(prefix="fuzz-")
    embedded = EmbeddedRedis(Path(directory.name) / "redis")
    events = EventService(redis_url=embedded.start(), name="fuzz", app="fuzz", announce=False)

    @events.on("a.b", name="takes")
    def take(event: Any) -> None:
        """Take an event."""

    @atexit.register
    def end() -> None:
        events.stop()
        embedded.stop()
        directory.cleanup()

    return TestClient(
        _from_many_addresses(dashboard(events)), base_url="http://127.0.0.1:8765",
        raise_server_exceptions=False, follow_redirects=False,
    )  # fmt: skip


def _from_many_addresses(app: Any) -> Any:
    """Return the application as if everybody on this machine asked it, each once: none of them too often."""
    numbers = itertools.count(1)

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        number = next(numbers)
        address = f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        await app({**scope, "client": (address, 40_000)}, receive, send)

    return asked


def request_of(method: str, path: str, content_type: str, query: bytes, body: bytes) -> bytes:
    """Return the input that `ask` reads as this request."""
    head = bytes([ROUTES.index((method, path)), CONTENT_TYPES.index(content_type)])
    return head + query + b"\x00" + body


class RefusedError(Exception):
    """An answer that says that the request was wrong."""


def ask(data: bytes) -> None:
    """Send the request that an input stands for.

    Args:
        data: The number of a route, that of a content type, a query up to the first zero byte, and the body.

    Raises:
        RefusedError: If the answer is a 4xx.
        BrokenAnswerError: If it is a 5xx.
    """
    data = data.ljust(2, b"\x00")
    method, path = ROUTES[data[0] % len(ROUTES)]
    content_type = CONTENT_TYPES[data[1] % len(CONTENT_TYPES)]
    query, _, body = data[2:].partition(b"\x00")
    answer = _client().request(
        method, path, content=body, params=query.decode("latin-1").replace("\r", "").replace("\n", ""),
        headers={"content-type": content_type, "idempotency-key": "k"} if content_type else {},
    )  # fmt: skip
    if answer.status_code >= 500:
        raise BrokenAnswerError(
            f"{method} {path} {content_type} {query!r} {body!r}: {answer.status_code} {answer.text}"
        )
    if answer.status_code >= 400:
        raise RefusedError(answer.text)


SEEDS = (
    request_of("POST", "/api/v1/events", "application/json", b"", b'{"type":"a.b","payload":{"n":1},"priority":5}'),
    request_of("POST", "/api/v1/events", "application/cloudevents+json", b"", CLOUD_EVENT),
    request_of("POST", "/api/v1/events", "application/cloudevents-batch+json", b"", b"[" + CLOUD_EVENT + b"]"),
    request_of("GET", "/api/v1/events", "", b"type=a.b&page_size=5&order=oldest&start_time=2026-11-25T12:00:00Z", b""),
)
