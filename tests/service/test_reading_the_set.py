"""How often a process reads all subscriptions: once where they have changed, whoever of it asks."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis

from eventsys import EventService, SubscriptionState
from eventsys.testing import EventHarness
from tests.support.services import Services, commands_of, used_since


def _handle(event: Any) -> None:
    """Handle."""


@pytest.fixture
def looking(redis_client: redis.Redis, events: EventService, services: Services) -> EventService:
    """A process on an empty Redis that knows the set of subscriptions; what another one declares is in it."""
    twin = services.make(name=events.settings.name)
    for number in range(20):
        twin.on("a.b", name=f"one-{number}")(_handle)
    twin.bus.prepare()
    _look(events)
    return events


def _look(events: EventService) -> None:
    """Look at the set as every round does, and as what dispatches does."""
    events.bus.tending.look()
    events.bus.router.refresh()


def _states(events: EventService) -> dict[str, SubscriptionState]:
    return {one.name: one.state for one in events.bus.subscriptions.all().subscriptions}


@pytest.mark.redis62
def test_a_change_has_a_process_read_all_subscriptions_once(
    looking: EventService, services: Services, redis_client: redis.Redis
) -> None:
    twin = services.make(name=looking.settings.name)
    twin.on("a.b", name="more")(_handle)
    before = commands_of(redis_client)
    twin.bus.prepare()
    _look(looking)
    _look(looking)
    assert used_since(redis_client, before)["hvals"] == 1
    assert len(looking.bus.subscriptions.all().subscriptions) == 21
    twin.subscriptions.pause("one-3")
    _look(looking)
    assert _states(looking) == {
        one.name: SubscriptionState.PAUSED if one.name == "one-3" else SubscriptionState.ACTIVE
        for one in twin.subscriptions.declared()
    }
    assert looking.broker.work.gates.closed == {"one-3"}


def test_of_threads_that_see_a_change_at_once_one_reads(
    looking: EventService, services: Services, redis_client: redis.Redis
) -> None:
    services.make(name=looking.settings.name).subscriptions.pause("one-3")
    before, all_are_there, found = commands_of(redis_client), threading.Barrier(8), list[Any]()

    def read() -> None:
        all_are_there.wait(60)
        found.append(looking.bus.subscriptions.all())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert used_since(redis_client, before)["hvals"] == 1
    assert len({id(one) for one in found}) == 1
    assert len(found) == 8


def test_a_change_while_the_set_is_read_has_it_read_again(
    looking: EventService, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is older than what is read with it then; never newer."""
    subscriptions, link = services.make(name=looking.settings.name).subscriptions, looking.broker.link
    pipeline = link.pipeline
    subscriptions.pause("one-3")

    def resume_in_between(commands: Any) -> list[Any]:
        if ("HVALS", looking.broker.keys.subscriptions) not in commands:
            return pipeline(commands)
        first = pipeline(commands[:1])
        subscriptions.resume("one-3")
        return [*first, *pipeline(commands[1:])]

    with monkeypatch.context() as patched:
        patched.setattr(link, "pipeline", resume_in_between)
        read = looking.bus.subscriptions.all()
    assert int(read.version) < int(looking.bus.subscriptions.version())
    subscriptions.pause("one-4")
    assert {name for name, state in _states(looking).items() if state is SubscriptionState.PAUSED} == {"one-4"}


def test_what_was_read_of_another_redis_is_not_taken_for_what_is_in_this_one(looking: EventService) -> None:
    subscriptions = looking.bus.subscriptions
    outside = subscriptions.all()
    with EventHarness(looking):
        looking.broker.link.call("SET", looking.broker.keys.subscriptions_version, outside.version)
        assert subscriptions.all() == (outside.version, ())
    assert subscriptions.all() == outside


def test_after_a_loss_the_set_is_read_again_whatever_its_version(looking: EventService, services: Services) -> None:
    """Lost changes and as many others lead to the same version."""
    subscriptions = looking.bus.subscriptions
    before = subscriptions.all()
    assert services.make(name=looking.settings.name).bus.subscriptions.remove("one-3")
    looking.broker.link.call("SET", looking.broker.keys.subscriptions_version, before.version)
    looking.broker.work.forgetful.forget_lost()
    assert subscriptions.all() == (before.version, tuple(one for one in before.subscriptions if one.name != "one-3"))
