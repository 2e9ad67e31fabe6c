"""The overview as it changes: one look for all who watch, and none while nobody does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventsys import EventService
from eventsys.dashboard import live
from eventsys.dashboard.live import Live, figures_of


def test_who_watches_sees_what_changes(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_S", 0.01)

    async def watch() -> list[str]:
        watching: Any = Live(events).watch()
        before = _figures(await anext(watching))
        await asyncio.to_thread(events.publish, "order.paid", {})
        async for message in watching:
            # Its rate falls while the minute goes on, too.
            if _figures(message)["events"] != before["events"]:
                await watching.aclose()
                return [before["events"], _figures(message)["events"]]
        return []

    assert asyncio.run(asyncio.wait_for(watch(), 120)) == ["0", "1"]


def test_many_who_watch_share_one_look(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_S", 3600)
    looks = []
    look = events.store.metrics.look
    monkeypatch.setattr(events.store.metrics, "look", lambda: looks.append(1) or look())

    async def watch() -> None:
        board = Live(events)
        watching: list[AsyncIterator[str]] = [board.watch() for _ in range(20)]
        messages = await asyncio.gather(*(anext(one) for one in watching))
        assert len(set(messages)) == 1
        assert not board.is_full
        for one in watching:
            await one.aclose()  # type: ignore[attr-defined]

    asyncio.run(asyncio.wait_for(watch(), 120))
    assert len(looks) == 1


def test_a_fault_of_ours_is_told_to_who_watches_and_looking_goes_on(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY_S", 0.01)
    look, faults = events.store.metrics.look, [RuntimeError("a fault")]

    def look_in_the_end() -> Any:
        if faults:
            raise faults.pop()
        return look()

    monkeypatch.setattr(events.store.metrics, "look", look_in_the_end)

    async def watch() -> list[str]:
        watching: Any = Live(events).watch()
        kinds = [(await anext(watching)).splitlines()[0] for _ in range(2)]
        await watching.aclose()
        return kinds

    assert asyncio.run(asyncio.wait_for(watch(), 120)) == ["event: away", "event: figures"]


def test_nobody_looks_when_the_last_one_is_gone(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_S", 3600)

    async def watch() -> bool:
        board = Live(events)
        watching: Any = board.watch()
        await anext(watching)
        looking = board._looking
        assert looking is not None
        assert not looking.done()
        await watching.aclose()
        await asyncio.wait([looking])
        return looking.cancelled()

    assert asyncio.run(asyncio.wait_for(watch(), 120))


def test_no_more_watch_than_a_hundred(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_WATCHERS", 2)

    async def watch() -> bool:
        board = Live(events)
        for watching in [board.watch(), board.watch()]:
            await anext(watching)
        return board.is_full

    assert asyncio.run(asyncio.wait_for(watch(), 120))


def test_redis_away_is_told_to_who_watches() -> None:
    away = EventService(redis_url="redis://127.0.0.1:1/0", name="away")

    async def watch() -> str:
        watching: Any = Live(away).watch()
        message = await anext(watching)
        await watching.aclose()
        return str(message)

    message = asyncio.run(asyncio.wait_for(watch(), 120))
    assert message.startswith("event: away\ndata: {")
    assert message.endswith("\n\n")


def test_figures_are_those_of_the_bus(events: EventService) -> None:
    events.publish("order.paid", {})
    told = figures_of(events.get_metrics())
    assert (told["events"], told["ratio"], told["latency99"]) == ("1", "-", "-")


def _figures(message: str) -> dict[str, str]:
    kind, data = message.strip().split("\n")
    assert kind == "event: figures"
    found: dict[str, str] = json.loads(data.removeprefix("data: "))
    return found
