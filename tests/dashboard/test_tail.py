"""The live tail: one follower for all who watch, each with the types it wants, and none while nobody does."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from eventsys import EventService, InvalidPatternError
from eventsys.dashboard import serving, tailing
from eventsys.dashboard.access import Access
from eventsys.dashboard.tailing import Tail, Watcher, _shown
from eventsys.model import patterns
from tests.support.connections import Newcomers
from tests.support.waiting import eventually


def _read(message: str) -> tuple[str, dict[str, Any]]:
    kind, data = message.strip().split("\n")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def _types(watching: Any, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        kind, data = _read(await anext(watching))
        assert kind == "events"
        found += [one["type"] for one in data["events"]]
    return found


def test_each_page_gets_the_events_it_wants(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "PAUSE_S", 0)

    async def watch() -> list[list[str]]:
        tail = Tail(events)
        all_of_them, orders = tail.watch(), tail.watch(["order.*"])
        assert [_read(await anext(one))[0] for one in (all_of_them, orders)] == ["following"] * 2
        for event_type in ("order.paid", "user.login", "order.sent"):
            await asyncio.to_thread(events.publish, event_type, {"user_id": "1"}, source="shop")
        found = [await _types(all_of_them, 3), await _types(orders, 2)]
        for one in (all_of_them, orders):
            await one.aclose()
        return found

    found = asyncio.run(asyncio.wait_for(watch(), 120))
    assert found == [["order.paid", "user.login", "order.sent"], ["order.paid", "order.sent"]]
    events.publish("user.login", {"user_id": "2"})  # what its follower waits for, to see that it is not wanted
    eventually(lambda: "eventsys-tail" not in {one.name for one in threading.enumerate()})


def test_a_page_names_no_more_patterns_than_a_program_may(client: TestClient) -> None:
    """Some thousand of them, compared with each event, stalled the dashboard for everybody."""
    written = [f"order.a{number}" for number in range(tailing.MOST_PATTERNS)]
    for path in ("/tail", "/tail/events"):
        refused = client.get(path, params={"types": ",".join([*written, "one.more"])})
        assert (refused.status_code, "101 patterns, and at most 100" in refused.text) == (422, True)
    assert client.get("/tail", params={"types": ",".join(written * 2)}).status_code == 200


def test_patterns_are_read_once_and_not_for_each_event(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    async def watch() -> list[str]:
        watcher = Watcher(["order.*", "user.#"])
        monkeypatch.setattr(patterns, "check_pattern", None)
        for event_type in ("order.paid", "stock.low", "user.a.b"):
            watcher.give(_shown(events.bus.drafter.draft(event_type, {}).event))
        return [one["type"] for one in _read(watcher.message())[1]["events"]]

    assert asyncio.run(watch()) == ["order.paid", "user.a.b"]


def test_who_does_not_keep_up_is_told_how_much_was_left_out(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "MOST_WAITING", 3)

    async def watch() -> dict[str, Any]:
        watcher = Watcher([])
        for number in range(5):
            watcher.give(_shown(events.bus.drafter.draft("order.paid", {"secret": number}).event))
        return _read(watcher.message())[1]

    told = asyncio.run(watch())
    assert (len(told["events"]), told["left_out"]) == (3, 2)
    assert "secret" not in json.dumps(told)


def test_no_more_watch_than_there_is_room_for(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "MOST_WATCHERS", 2)

    async def watch() -> bool:
        tail = Tail(events)
        watching = [tail.watch(), tail.watch()]
        for one in watching:
            await anext(one)
        is_full = tail.is_full
        for one in watching:
            await one.aclose()  # type: ignore[attr-defined]
        return is_full and not tail.is_full

    assert asyncio.run(asyncio.wait_for(watch(), 120))


def test_a_pattern_that_cannot_be_is_refused(events: EventService, client: Any) -> None:
    assert client.get("/tail/events?types=Not%20A%20Type").status_code == 422
    assert client.get("/tail?types=Not%20A%20Type").status_code == 422
    with pytest.raises(InvalidPatternError):
        Watcher(["Not A Type"])


def test_redis_away_is_told_to_who_watches() -> None:
    away = EventService(redis_url="redis://127.0.0.1:1/0", name="away")

    async def watch() -> str:
        watching: Any = Tail(away).watch()
        kind = _read(await anext(watching))[0]
        await watching.aclose()
        return kind

    assert asyncio.run(asyncio.wait_for(watch(), 120)) == "away"


def test_an_outage_and_its_end_are_told_to_who_watches_and_nothing_is_missed(
    events: EventService, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page began anew after an outage, behind all that was stored meanwhile."""
    monkeypatch.setattr(tailing, "PAUSE_S", 0)

    newcomers = Newcomers(redis_client)

    def break_connections() -> None:
        newcomers.wait_until_one_waits()
        redis_client.client_kill_filter(skipme=True)

    def publish() -> None:
        events.publish("order.paid", {"user_id": "1"})

    async def watch() -> list[str]:
        watching: Any = Tail(events).watch()
        kinds = [_read(await anext(watching))[0]]
        for go_on, told in [(break_connections, 1), (publish, 2)]:
            await asyncio.to_thread(go_on)
            kinds += [_read(await anext(watching))[0] for _ in range(told)]
        await watching.aclose()
        return kinds

    kinds = asyncio.run(asyncio.wait_for(watch(), 120))
    assert (kinds[0], kinds[1], sorted(kinds[2:])) == ("following", "away", ["events", "following"])


def test_a_server_that_ends_ends_the_tail(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would wait for those who watch until it loses patience, and log that it did."""

    async def nothing(*_: Any) -> None:
        """Stand for what uvicorn does afterwards, which has not begun here."""

    monkeypatch.setattr(serving.uvicorn.Server, "shutdown", nothing)

    async def watch() -> bool:
        server = serving.Server(events, Access())
        watching: Any = server.config.app._app.state.tail.watch()
        assert _read(await anext(watching))[0] == "following"
        await server.shutdown()
        return await anext(watching, None) is None

    assert asyncio.run(asyncio.wait_for(watch(), 60))


def test_a_fault_of_ours_is_told_to_who_watches_and_following_goes_on(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "_AGAIN_S", 0.01)
    monkeypatch.setattr(tailing, "PAUSE_S", 0)
    follow, faults = events.store.follow, [RuntimeError("a fault")]

    def follow_in_the_end(**options: Any) -> Any:
        if faults:
            raise faults.pop()
        return follow(**options)

    monkeypatch.setattr(events.store, "follow", follow_in_the_end)

    async def watch() -> list[str]:
        watching: Any = Tail(events).watch()
        kinds = [_read(await anext(watching))[0] for _ in range(2)]
        await asyncio.to_thread(events.publish, "user.login", {"user_id": "1"})
        kinds += await _types(watching, 1)
        await watching.aclose()
        return kinds

    assert asyncio.run(asyncio.wait_for(watch(), 120)) == ["away", "following", "user.login"]
    events.publish("user.login", {"user_id": "2"})  # what its follower waits for, to see that it is not wanted
    eventually(lambda: "eventsys-tail" not in {one.name for one in threading.enumerate()})


def test_following_is_said_once_nothing_is_missed_and_to_newcomers_at_once(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was said before the end of the log was known: what was stored in between was shown to nobody."""
    monkeypatch.setattr(tailing, "PAUSE_S", 0)
    follow, may_read = events.store.follow, threading.Event()

    def follow_late(**options: Any) -> Any:
        assert may_read.wait(60)
        yield from follow(**options)

    monkeypatch.setattr(events.store, "follow", follow_late)

    async def watch() -> list[str]:
        tail = Tail(events)
        first, second = tail.watch(), tail.watch()
        waiting = asyncio.ensure_future(anext(first))
        await asyncio.to_thread(events.publish, "order.paid", {"user_id": "1"})
        assert not waiting.done()
        may_read.set()
        said = [_read(await waiting)[0], _read(await anext(second))[0]]
        await asyncio.to_thread(events.publish, "order.sent", {"user_id": "1"})
        said += [*await _types(first, 1), *await _types(second, 1)]
        for one in (first, second):
            await one.aclose()  # type: ignore[attr-defined]
        return said

    said = asyncio.run(asyncio.wait_for(watch(), 120))
    assert said == ["following", "following", "order.sent", "order.sent"]
