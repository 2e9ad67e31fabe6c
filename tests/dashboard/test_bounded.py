"""Nothing that the dashboard keeps for one who asks, or for one request, grows without an end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import threading
import tracemalloc
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from eventsys import EventService
from eventsys.dashboard import live, rate_limit, serving, tailing
from eventsys.dashboard.access import Access
from eventsys.dashboard.app import application
from eventsys.dashboard.gate import MOST_BYTES, Gate
from eventsys.dashboard.live import Live
from eventsys.dashboard.origins import allowed_names
from eventsys.dashboard.rate_limit import LONGEST_ADDRESS, MOST_ADDRESSES, RateLimit
from eventsys.dashboard.tailing import Tail
from tests.dashboard.asgi import Exchange, until
from tests.support.waiting import eventually

STREAMS = ["/live", "/tail/events", "/api/v1/live", "/api/v1/tail"]
PAGES = ["/", "/events", "/events/large-1", "/types/order.paid", "/api/v1/events?types=order.paid", "/unknown"]
JSON = (b"content-type", b"application/json")


class Board:
    """A dashboard whose watchers can be counted."""

    def __init__(self, events: EventService) -> None:
        app = application(events, Access())
        self.live: Live = app.state.live
        self.tail: Tail = app.state.tail
        self.gate = Gate(app, Access(), allowed_names(()), events.broker.clock.monotonic)

    def watching(self) -> int:
        return len(self.live._watchers) + len(self.tail._watchers)


@pytest.fixture
def board(events: EventService) -> Board:
    return Board(events)


@pytest.fixture(autouse=True)
def who_asks_often_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventsys.dashboard.gate.USUAL_BURST", 1_000_000)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 300))  # it hangs, whatever the machine is busy with


def followers() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "eventsys-tail"}


@pytest.mark.parametrize("path", STREAMS)
def test_of_many_who_come_in_one_moment_no_more_watch_than_may(
    board: Board, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(live, "MOST_WATCHERS", 5)
    monkeypatch.setattr(tailing, "MOST_WATCHERS", 5)

    async def test() -> None:
        all_of_them = [Exchange(board.gate, path) for _ in range(60)]
        for one in all_of_them:
            await one.wait_for_parts(1)
        assert board.watching() == 5
        for one in all_of_them:
            await one.go_away()
        assert board.watching() == 0
        refused = [one for one in all_of_them if one.status == 503 or b"too many watch" in b"".join(one.parts)]
        assert len(refused) == 55

    run(test())


@pytest.mark.parametrize("path", STREAMS)
def test_streams_that_are_opened_and_dropped_leave_nothing_behind(board: Board, path: str) -> None:
    others = followers()  # of tests before, until Redis answers them

    async def test() -> None:
        for _ in range(150):
            one = Exchange(board.gate, path)
            await one.wait_for_parts(1 if "tail" in path else 0)
            await one.go_away()
            assert board.watching() == 0
            await until(lambda: len(followers() - others) <= 3)  # who follows, and who has ended and is about to go
        await until(lambda: len(followers() - others) <= 1)
        assert len(asyncio.all_tasks()) <= 3  # this one, who waits for it, and a look that is being taken

    run(test())


@pytest.mark.parametrize("path", STREAMS)
def test_who_stops_reading_and_goes_away_watches_no_more(board: Board, path: str) -> None:
    async def test() -> None:
        stuck = [Exchange(board.gate, path, takes=0) for _ in range(20)]
        for one in stuck:
            await one.stalls.wait()
        assert board.watching() == 20
        for one in stuck:
            await one.go_away()
        assert board.watching() == 0

    gc.collect()
    gc.disable()
    try:
        run(test())
    finally:
        gc.enable()


def test_who_does_not_read_keeps_no_payloads(events: EventService, board: Board, monkeypatch: Any) -> None:
    event = events.bus.drafter.draft("order.paid", {"text": "x" * 100_000}).event
    _follow(events, monkeypatch, itertools.repeat(event))

    async def test() -> None:
        stuck = [Exchange(board.gate, "/tail/events", takes=1) for _ in range(10)]
        for one in stuck:
            await one.wait_for_parts(1)
        await until(lambda: all(len(one._waiting) == tailing.MOST_WAITING for one in list(board.tail._watchers)))
        assert len(json.dumps([list(one._waiting) for one in board.tail._watchers])) < 10 * 100 * 500
        for one in stuck:
            await one.go_away()

    run(test())


def test_a_loop_without_time_holds_up_the_thread_that_follows(
    events: EventService, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "MOST_HANDED_OVER", 10)
    given: list[int] = []
    event = events.bus.drafter.draft("order.paid", {}).event
    is_still = threading.Event()
    _follow(events, monkeypatch, (is_still.wait(60) and (given.append(1) or event) for _ in range(500)))

    async def test() -> None:
        watching = board.tail.watch()
        await anext(watching)
        is_still.set()
        eventually(lambda: len(given) >= 11)  # the loop stands still meanwhile
        assert (len(given), len(board.tail._follower._news)) == (11, 10)  # type: ignore[union-attr]
        await until(lambda: len(given) == 500)
        told = json.loads((await anext(watching)).split("data: ")[1])
        assert len(told["events"]) + told["left_out"] > 300
        await watching.aclose()

    run(test())


def test_addresses_without_number_and_of_any_length_are_forgotten_again() -> None:
    limit = RateLimit(1, 1, lambda: 0.0)
    for number in range(2 * MOST_ADDRESSES):
        assert limit.allows(f"{number}{'x' * 10_000}")
    assert len(limit._left) == MOST_ADDRESSES
    assert max(map(len, limit._left)) == LONGEST_ADDRESS


def test_a_body_in_very_many_parts_is_read_as_fast_as_one_in_few(board: Board) -> None:
    """Each part costs the same: adding up all of them again at each one took minutes."""

    async def test() -> None:
        parts = (b"x",) * 100_000
        answer = Exchange(board.gate, "/api/v1/events", method="POST", body=parts, headers=(JSON,))
        await answer.end()
        assert answer.status == 422
        too_many = Exchange(board.gate, "/api/v1/events", method="POST", body=(b"x" * 1_000,) * 2_000, headers=(JSON,))
        await too_many.end()
        assert (too_many.status, MOST_BYTES < 2_000_000) == (413, True)

    run(test())


def test_many_requests_of_many_addresses_leave_nothing_behind(
    events: EventService, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages with large payloads, events with idempotency keys, wrong ones, streams: each from an address of its own."""
    monkeypatch.setattr(rate_limit, "MOST_ADDRESSES", 10)
    large = {"text": "x" * 100_000, "parts": list(range(1_000))}
    for number in range(5):
        events.publish("order.paid", large, id=f"large-{number}")
    asked = iter(range(10**9))

    async def ask(number: int) -> None:
        address = f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        key = (b"idempotency-key", f"key-{number}".encode())
        body = json.dumps({"type": "order.sent", "payload": {"n": number}}).encode()
        for path in PAGES:
            await Exchange(board.gate, path, address=address).end()
        posted = Exchange(
            board.gate, "/api/v1/events", method="POST", body=(body,), address=address, headers=(JSON, key)
        )
        await posted.end()
        assert posted.status == 201
        for path in STREAMS:
            stream = Exchange(board.gate, path, address=address)
            await stream.wait_for_parts(1 if "tail" in path else 0)
            await stream.go_away()

    async def test() -> None:
        for _ in range(12):
            await ask(next(asked))
        before = _kept()
        for _ in range(15):
            await ask(next(asked))
        await until(lambda: _kept() - before < 100_000)  # what a thread still holds that is about to go may be large

    tracemalloc.start()
    try:
        run(test())
    finally:
        tracemalloc.stop()


def _kept() -> int:
    """Return how many bytes Python has in use."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _follow(events: EventService, monkeypatch: pytest.MonkeyPatch, found: Iterator[Any]) -> None:
    """Let the log have so many events, and none after them."""

    def follow(*_: Any, is_wanted: Any, **__: Any) -> Iterator[Any]:
        is_wanted()  # as it is asked before anything is given
        for at, event in enumerate(found):
            if at % 100 == 0 and not is_wanted():
                return
            yield event
        while is_wanted():
            threading.Event().wait(0.01)

    monkeypatch.setattr(events.store, "follow", follow)


def test_a_server_gives_free_memory_back_every_few_seconds(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(serving, "give_back", lambda: looks.append(1))
    server = serving.Server(events, Access())
    server.config.load()

    async def tick() -> None:
        for counter in range(1, 81):
            await server.on_tick(counter)

    asyncio.run(tick())
    assert len(looks) == 2
