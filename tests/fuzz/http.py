"""The dashboard, asked with bytes that somebody made up: every route, every content type."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import anyio.to_thread
from pydantic import BaseModel

from eventsys import EventService
from eventsys.dashboard.access import Access
from eventsys.dashboard.app import application
from eventsys.dashboard.forms import COOKIE, FIELD
from eventsys.dashboard.gate import Gate
from eventsys.dashboard.origins import allowed_names
from eventsys.runtime.embedded import EmbeddedRedis
from tests.dashboard.routes import CHANGES, LOOKS
from tests.fuzz.places import DIRECTORY, REDIS

ROUTES = sorted({*CHANGES, *LOOKS})

FORM = "application/x-www-form-urlencoded"

#: What stands for a CloudEvent whose attributes are headers: they are in the place of the query.
BINARY = "binary"

KINDS = (
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    FORM,
    "text/plain",
    "",
    BINARY,
)

#: Requests after which everything that they stored is thrown away.
_FORGETS_AFTER = 5_000

#: Characters that a query may have as they are; the gate lets no others in.
_OF_URLS = "".join(map(chr, range(33, 127)))

_HOST = "127.0.0.1:8765"


class BrokenAnswerError(AssertionError):
    """An answer that says that we made a mistake: whatever is sent, it is the sender's."""


class RefusedError(Exception):
    """An answer that says that the request was wrong."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Takes(BaseModel):
    """A payload with a field of every kind that a form can have."""

    n: int = 1
    kind: Literal["one", "two"] = "one"
    at: datetime | None = None
    names: list[str] = []
    inner: dict[str, float] | None = None


class Asker:
    """Asks the dashboard without a socket, a thread or a client between: a fuzzer asks a million times.

    Each request comes from an address of its own, so that none of them asks too often, and is one of our own pages
    as far as its headers and its form's token say.
    """

    def __init__(self) -> None:
        directory = os.environ.get(DIRECTORY) or tempfile.mkdtemp(prefix="fuzz-")
        embedded = EmbeddedRedis(Path(directory) / REDIS)
        self._events = EventService(redis_url=embedded.start(), name="fuzz", app="fuzz", announce=False)
        self._events.type("a.b", Takes)
        self._events.on("a.b", name="takes")(_take)
        app = application(self._events, Access())
        self._gate = Gate(app, Access(), allowed_names(()), self._events.broker.clock.monotonic)
        app.openapi()  # made once, for a second or so: the input that asked first would seem to hang on a busy machine
        self._form_token = app.state.form_tokens.token_of("fuzz").encode()
        self._loop = asyncio.new_event_loop()
        self._asked = itertools.count(1)

        @atexit.register
        def end() -> None:
            self._events.stop()
            embedded.stop()
            shutil.rmtree(directory, ignore_errors=True)

    def ask(self, method: str, path: str, kind: str, query: bytes, body: bytes) -> Answer:
        """Return the answer to one request."""
        number = next(self._asked)
        if number % _FORGETS_AFTER == 0:
            self._events.broker.link.call("FLUSHDB")
        headers = [(b"host", _HOST.encode()), (b"origin", f"http://{_HOST}".encode())]
        headers += [(b"cookie", f"{COOKIE}=fuzz".encode()), (b"accept", b"text/html" if number % 2 else b"*/*")]
        if kind == BINARY:
            headers += [(b"content-type", b"application/json"), *attributes_of(query)]
        elif kind:
            headers += [(b"content-type", kind.encode())]
            headers += [(b"idempotency-key", b"k")] if len(body) % 2 else []
        if kind == FORM:
            body = FIELD.encode() + b"=" + self._form_token + b"&" + body
        query = b"" if kind == BINARY else quote(query, _OF_URLS).encode()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": quote(path).encode(), "query_string": query,
            "root_path": "", "headers": headers, "server": ("127.0.0.1", 8765),
            "client": (f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 40_000),
        }  # fmt: skip
        with _in_this_thread():
            return self._loop.run_until_complete(_answer(self._gate, scope, body))


def request_of(
    method: str, path: str, kind: str, query: bytes = b"", body: bytes = b"", *, name: bytes = b"x"
) -> bytes:
    """Return the input that `ask` reads as this request."""
    head = bytes([ROUTES.index((method, path)), KINDS.index(kind)])
    return head + name + b"\x00" + query + b"\x00" + body


def ask(data: bytes) -> None:
    """Send the request that an input stands for.

    Args:
        data: The number of a route, that of a kind of content, and three parts between zero bytes: what stands in the
            place of the route's parameter, the query, and the body.

    Raises:
        RefusedError: If the answer is a 4xx.
        BrokenAnswerError: If it is a 5xx.
    """
    data = data.ljust(2, b"\x00")
    method, path = ROUTES[data[0] % len(ROUTES)]
    kind = KINDS[data[1] % len(KINDS)]
    name, query, body = [*data[2:].split(b"\x00", 2), b"", b""][:3]
    path = "/".join(name.decode("utf-8", "replace") if part == "x" else part for part in path.split("/"))
    answer = _asker().ask(method, path, kind, query, body)
    if answer.status >= 500:
        raise BrokenAnswerError(f"{method} {path} {kind} {query!r} {body!r}: {answer.status} {answer.body!r}")
    if answer.status >= 400:
        raise RefusedError(answer.body)


@cache
def _asker() -> Asker:
    return Asker()


def _take(event: Any) -> None:
    """Take an event."""


def attributes_of(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the headers of a binary CloudEvent whose attributes are written as a query."""
    yield b"ce-specversion", b"1.0"
    for line in query.split(b"&"):
        name, _, value = line.partition(b"=")
        yield b"ce-" + name.lower(), value


async def _answer(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    status = 0
    parts: list[bytes] = []
    sent = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in sent:
            return message
        return await asyncio.Event().wait() or {}  # who asks waits for the answer, and never hangs up

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, b"".join(parts))


@contextmanager
def _in_this_thread() -> Iterator[None]:
    """Let routes run where they are asked, and not in the threads of a pool: one asks at a time."""
    before = anyio.to_thread.run_sync
    anyio.to_thread.run_sync = _at_once  # type: ignore[assignment]
    try:
        yield
    finally:
        anyio.to_thread.run_sync = before


async def _at_once(function: Callable[..., Any], *arguments: Any, **_options: Any) -> Any:
    return function(*arguments)


CLOUD_EVENT = b'{"specversion":"1.0","id":"1","source":"s","type":"a.b","data":{"n":1}}'

_EVENTS = ("POST", "/api/v1/events")

FILLED_IN = b"payload%2Fn=1&payload%2Fkind=%22two%22&payload%2Fat=2026-11-25T12%3A00&delay=1h"

SEEDS = (
    request_of(*_EVENTS, "application/json", body=b'{"type":"a.b","payload":{"n":1},"priority":5}'),
    request_of(*_EVENTS, "application/cloudevents+json", body=CLOUD_EVENT),
    request_of(*_EVENTS, "application/cloudevents-batch+json", body=b"[" + CLOUD_EVENT + b"] "),
    request_of(*_EVENTS, BINARY, b"id=1&source=s&type=a.b&correlationid=c", b'{"n":1}'),
    request_of("GET", "/api/v1/events", "", b"types=a.b&page_size=5&order=oldest&start_time=2026-11-25T12:00:00Z"),
    request_of("GET", "/events", "", b"types=a.b&status=failed&text=x"),
    request_of("POST", "/types/x/publish", FORM, body=FILLED_IN, name=b"a.b"),
    request_of("POST", "/publish", FORM, body=b"type=a.b&json=%7B%22n%22%3A1%7D&priority=high"),
)
