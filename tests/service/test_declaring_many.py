"""Telling Redis of many subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eventsys import EventService, RedisUnavailableError
from eventsys.bus import declarations
from tests.support.services import Services


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[[EventService, int], list[str]]:
    """Declare so many handlers, and return the names that were told by themselves."""

    def declare_handlers(service: EventService, count: int) -> list[str]:
        alone: list[str] = []
        save = service.bus.subscriptions.save

        def note(subscription: Any, *how: Any, **options: Any) -> Any:
            alone.append(subscription.name)
            return save(subscription, *how, **options)

        monkeypatch.setattr(service.bus.subscriptions, "save", note)
        for number in range(count):
            service.on(f"many.type{number}", name=f"many-{number:03}")(lambda event: None)
        service.bus.prepare()
        return alone

    return declare_handlers


@pytest.mark.redis62
def test_subscriptions_are_told_a_hundred_in_a_round_trip(services: Services, declare: Any) -> None:
    events = services.make()
    events.on("first", name="first")(lambda event: None)
    events.bus.prepare()
    assert declare(events, 250) == []
    assert len(events.subscriptions.list()) == 251
    numbers = [actor.subscription.number for actor in events.bus.declarations.hosted()]
    assert sorted(numbers) == sorted({one.number for one in events.subscriptions.declared()})


def test_a_redis_that_forgot_the_script_is_told_all_the_same(
    services: Services, declare: Any, redis_client: Any
) -> None:
    redis_client.script_flush()
    events = services.make()
    assert len(declare(events, 150)) == declarations._AT_ONCE
    assert len(events.subscriptions.list()) == 150


def test_one_that_is_not_settled_yet_holds_up_no_other(services: Services, declare: Any) -> None:
    events = services.make()
    twin = services.make(name=events.settings.name)
    twin.on("many.type7", name="many-007")(lambda event: None)
    twin.bus.prepare()
    twin.bus.subscriptions.remove("many-007")
    assert declare(events, 20) == ["many-007"] * 2
    assert len(events.subscriptions.list()) == 20


def test_what_was_told_before_redis_went_away_is_not_forgotten(
    services: Services, declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = services.make()
    monkeypatch.setattr(events.bus.subscriptions, "save_some", lambda declared, now_ms: [None] * len(declared))
    calls: list[str] = []
    run = events.broker.link.run

    def break_at_the_fiftieth(*arguments: Any) -> Any:
        calls.append("")
        if len(calls) == 50:
            raise RedisUnavailableError("away")
        return run(*arguments)

    monkeypatch.setattr(events.broker.link, "run", break_at_the_fiftieth)
    with pytest.raises(RedisUnavailableError):
        declare(events, 120)
    assert not events.bus.declarations.is_complete
    events.bus.prepare()
    assert events.bus.declarations.is_complete
    assert len(events.subscriptions.list()) == 120
