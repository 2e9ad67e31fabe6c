"""Connections of `eventsys web`: who holds one and asks nothing, or takes nothing, keeps nobody else out."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from uvicorn.server import ServerState

from eventsys import EventService
from eventsys.dashboard import connection, serving
from eventsys.dashboard.access import Access
from eventsys.dashboard.connection import Connection
from tests.support.waiting import eventually

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
FOREIGN = b"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\nContent-Length: 9\r\n\r\n"

#: Seconds after which a test that still waits has failed.
LONG_S = 20


@pytest.fixture
def port(events: EventService) -> Iterator[int]:
    """Serve the dashboard, and give its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        server = serving.Server(events, Access())
        thread = threading.Thread(target=server.run, args=([listening],), name="dashboard-of-tests", daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join(60)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """Wait for nobody longer than so many seconds."""
    monkeypatch.setattr(connection, "ARRIVES_WITHIN_S", 1.0)
    return 1.0


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> int:
    """Have no more connections than so many; to be asked for before `port`."""
    monkeypatch.setattr(serving, "MOST_AT_ONCE", 8)
    return 8


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LONG_S)


def is_hung_up(held: socket.socket) -> bool:
    """Return when the other side has ended it."""
    try:
        while held.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def trickles_on(held: socket.socket) -> bool:
    """Send a little more of a header, and say after a moment whether the other side still waits for it."""
    try:
        held.sendall(b"X-More: y\r\n")
        return bool(held.recv(1))
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def ask_without_end(held: socket.socket) -> None:
    """Ask and read no answer: soon neither side has room for more."""
    while True:
        held.sendall((HEAD.replace(b"/healthz", b"/api/v1/openapi.json") + b"\r\n") * 100)


@contextmanager
def asking(port: int) -> Iterator[Callable[[str], int]]:
    """Give a way to ask on one and the same connection, which returns the status."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG_S)
    client.connect()
    own = client.sock

    def ask(path: str) -> int:
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        assert client.sock is own
        return answer.status

    try:
        yield ask
    finally:
        client.close()


@contextmanager
def watching(port: int) -> Iterator[http.client.HTTPResponse]:
    """Give a stream that has begun."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG_S)
    client.request("GET", "/api/v1/live")
    stream = client.getresponse()
    try:
        yield stream
    finally:
        stream.close()
        client.close()


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (HEAD + b"X-Half: y", b""), (HEAD + b"\r\n", b"G"), (FOREIGN, b"{")],
    ids=["nothing", "half a header", "half the next header", "half a body that nobody reads"],
)
def test_who_holds_a_connection_and_asks_nothing_is_hung_up_on(
    port: int, first: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(port) as held:
        held.sendall(first)
        if then:
            assert held.recv(12) in {b"HTTP/1.1 200", b"HTTP/1.1 403"}
            held.sendall(then)
        assert is_hung_up(held)
    monkeypatch.setattr(connection, "ARRIVES_WITHIN_S", LONG_S)
    with asking(port) as ask:
        assert ask("/events") == 200


def test_a_header_that_trickles_in_gets_no_further_time(port: int, patience: float) -> None:
    with connected(port) as held:
        held.sendall(HEAD)
        held.settimeout(patience / 10)
        began = time.monotonic()
        while trickles_on(held):
            assert time.monotonic() - began < LONG_S


@pytest.mark.usefixtures("patience")
def test_who_takes_no_answers_is_hung_up_on(port: int) -> None:
    with connected(port) as held, pytest.raises(ConnectionError):
        ask_without_end(held)


def test_who_takes_a_large_answer_slowly_is_waited_for_as_long_as_it_goes_on() -> None:
    class Line(asyncio.Transport):
        """What a peer has not taken yet, and whether it was given up."""

        left, is_given_up = 100_000, False

        def get_write_buffer_size(self) -> int:
            return self.left

        def abort(self) -> None:
            self.is_given_up = True

    async def take() -> list[bool]:
        line, state = Line(), ServerState()
        held = Connection(uvicorn.Config(lambda scope: None), state, {})  # type: ignore[arg-type]
        held.connection_made(line)
        given_up = []
        for left_before, line.left in [(100_000, 80_000), (80_000, 60_000), (60_000, 59_000)]:
            held._look_again(left_before)
            given_up.append(line.is_given_up)
        return given_up

    assert asyncio.run(take()) == [False, False, True]


def test_who_asks_again_on_one_connection_and_who_watches_are_left_alone(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ARRIVES_WITHIN_S", 5.0)
    with watching(port) as stream, asking(port) as ask:
        for _ in range(5):  # looks at the bus, two seconds apart
            while not stream.readline().startswith(b"event:"):
                pass
            assert ask("/") == 200


def test_connections_that_ask_nothing_make_room_for_newcomers(room: int, port: int) -> None:
    with watching(port) as stream, ExitStack() as held:
        silent = [held.enter_context(connected(port)) for _ in range(3 * room)]
        with asking(port) as ask:
            assert ask("/healthz") == 200
        assert all(is_hung_up(one) for one in silent[: 2 * room])
        assert eventually(lambda: stream.readline().startswith(b"event:"))


def test_requests_that_are_under_way_make_no_room(room: int, port: int) -> None:
    with ExitStack() as streams:
        for _ in range(room - 1):
            streams.enter_context(watching(port))
        with connected(port) as newcomer:
            newcomer.sendall(HEAD + b"\r\n")
            assert newcomer.recv(12) == b"HTTP/1.1 503"
