"""How often a process reads all subscriptions: once where one was declared or has ended, whoever of it asks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from eventsys import EventService, SubscriptionState
from eventsys.store.scripts import script, script_names
from eventsys.testing import EventHarness
from tests.support.restoring import backup_of
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


@pytest.mark.redis62
def test_a_change_of_state_has_no_process_read_what_was_declared(
    looking: EventService, services: Services, redis_client: redis.Redis
) -> None:
    operator = services.make(name=looking.settings.name).bus.subscriptions
    before = commands_of(redis_client)
    operator.set_state("one-3", "paused", 0)
    _look(looking)
    assert looking.broker.work.gates.closed == {"one-3"}
    assert {name for name, state in _states(looking).items() if state is SubscriptionState.PAUSED} == {"one-3"}
    operator.set_state("one-3", "active", 0)
    _look(looking)
    assert looking.broker.work.gates.closed == frozenset()
    assert "hvals" not in used_since(redis_client, before)


def test_whatever_becomes_of_a_subscription_is_read(looking: EventService, services: Services) -> None:
    def declare(name: str, pattern: str, **options: Any) -> None:
        twin = services.make(name=looking.settings.name)
        twin.on(pattern, name=name, **options)(_handle)
        twin.bus.prepare()

    operator = services.make(name=looking.settings.name).bus.subscriptions
    changes: list[Callable[[], object]] = [
        lambda: declare("more", "a.b"),
        lambda: declare("more", "c.d"),
        lambda: declare("renamed", "c.d", was="more"),
        lambda: operator.set_state("renamed", "paused", 0),
        lambda: declare("again", "c.d", was="renamed"),
        lambda: operator.remove("again"),
    ]
    for change in changes:
        before = looking.bus.subscriptions.all()
        change()
        now = looking.bus.subscriptions.all()
        assert now != before
        assert now == services.make(name=looking.settings.name).bus.subscriptions.all()


def test_of_threads_that_see_a_change_at_once_one_reads(
    looking: EventService, services: Services, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsys.store.subscription_set.TURN_S", 60.0)
    assert services.make(name=looking.settings.name).bus.subscriptions.remove("one-3")
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


@pytest.fixture
def stuck(looking: EventService, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """A thread that has asked Redis for the set, and does not get the reply before this is called."""
    link, reads, goes_on = looking.broker.link, threading.Event(), threading.Event()
    pipeline = link.pipeline

    def late(commands: Any) -> list[Any]:
        replies = pipeline(commands)
        if threading.current_thread() is thread and not reads.is_set():
            reads.set()
            goes_on.wait(240)
        return replies

    def end() -> None:
        goes_on.set()
        thread.join(60)

    thread = threading.Thread(target=looking.bus.subscriptions.all)
    monkeypatch.setattr(link, "pipeline", late)
    looking.bus.subscriptions.forget()
    thread.start()
    assert reads.wait(60)
    yield end
    end()


def test_whoever_asks_while_another_thread_is_stuck_is_answered(
    looking: EventService, stuck: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that renews the lease asks too. Only the first one waits: later ones take turns without the stuck."""
    found = list[Any]()

    def ask(most_s: float) -> None:
        monkeypatch.setattr("eventsys.store.subscription_set.TURN_S", most_s)
        asking = threading.Thread(target=lambda: found.append(looking.bus.subscriptions.all()), daemon=True)
        asking.start()
        asking.join(60)

    ask(0.01)
    ask(600.0)
    assert [len(one.subscriptions) for one in found] == [20, 20]


def test_what_is_read_while_it_is_forgotten_is_not_kept(
    looking: EventService, services: Services, stuck: Callable[[], object]
) -> None:
    """Nor is it waited for."""
    subscriptions = looking.bus.subscriptions
    version = subscriptions.version()
    assert services.make(name=looking.settings.name).bus.subscriptions.set_state("one-3", "paused", 0)
    looking.broker.link.call("SET", looking.broker.keys.subscriptions_version, version)  # it was lost, and others not
    forgetting = threading.Thread(target=subscriptions.forget, daemon=True)
    forgetting.start()
    forgetting.join(60)
    assert not forgetting.is_alive()
    stuck()
    assert _states(looking)["one-3"] is SubscriptionState.PAUSED


@pytest.mark.redis62
def test_a_declaration_has_a_process_read_states_once(
    looking: EventService, services: Services, redis_client: redis.Redis
) -> None:
    assert services.make(name=looking.settings.name).bus.subscriptions.remove("one-3")
    before = commands_of(redis_client)
    assert len(looking.bus.subscriptions.all().subscriptions) == 19
    assert used_since(redis_client, before)["hgetall"] == 2


@pytest.mark.parametrize("change", ["state", "rows"])
def test_a_change_while_the_set_is_read_has_it_read_again(
    looking: EventService, services: Services, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The version is older than what is read with it then; never newer."""
    twin, link = services.make(name=looking.settings.name).bus.subscriptions, looking.broker.link
    pipeline = link.pipeline
    twin.set_state("one-3", "paused", 0)
    if change == "rows":
        twin.remove("one-5")

    def change_in_between(commands: Any) -> list[Any]:
        if len(commands) < 2 or not twin.set_state("one-3", "active", 0):
            return pipeline(commands)
        first = pipeline(commands[:1])
        if change == "rows":
            twin.remove("one-6")
        return [*first, *pipeline(commands[1:])]

    with monkeypatch.context() as patched:
        patched.setattr(link, "pipeline", change_in_between)
        read = looking.bus.subscriptions.all()
    assert int(read.version) <= int(twin.version())
    assert looking.bus.subscriptions.all() == services.make(name=looking.settings.name).bus.subscriptions.all()


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


def test_lost_declarations_and_as_many_others_are_no_less_read(looking: EventService, services: Services) -> None:
    """Nobody need have seen the loss: what else was done since may have led beyond the version that is known."""

    def declare(name: str) -> None:
        twin = services.make(name=looking.settings.name)
        twin.on("a.b", name=name)(_handle)
        twin.bus.prepare()

    restore = backup_of(looking)
    declare("lost")
    lost = looking.bus.subscriptions.all()
    restore()
    declare("other")
    services.make(name=looking.settings.name).bus.subscriptions.set_state("one-3", "paused", 0)
    now = looking.bus.subscriptions.all()
    assert int(now.version) == int(lost.version) + 1
    assert {one.name for one in now.subscriptions} == {*(f"one-{number}" for number in range(20)), "other"}


def test_what_changed_while_the_set_was_read_and_was_lost_then_is_forgotten(
    looking: EventService, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of before stands again, with which later subscriptions were read."""
    subscriptions, link = looking.bus.subscriptions, looking.broker.link
    before, restore, pipeline = subscriptions.all(), backup_of(looking), link.pipeline
    twin = services.make(name=looking.settings.name).bus.subscriptions

    def end_one_in_between(commands: Any) -> list[Any]:
        first = pipeline(commands[:1])
        twin.remove("one-6")
        return [*first, *pipeline(commands[1:])]

    subscriptions.forget()
    with monkeypatch.context() as patched:
        patched.setattr(link, "pipeline", end_one_in_between)
        assert len(subscriptions.all().subscriptions) == 19
    restore()
    assert subscriptions.all() == before


def test_every_script_that_writes_a_row_notes_it() -> None:
    """Else processes that have read the rows would never read what it wrote."""
    writes = re.compile(
        r"\"(?:HSET|HSETNX|HINCRBY|HDEL|DEL|UNLINK|RENAME)\", "
        r"(?:rows|(?:prefix|KEYS\[1\]) \.\. \":subscriptions\")[,)].*\n\s*(.*)"
    )
    behind = {name: writes.findall(script(name).text) for name in script_names()}
    assert {name: len(lines) for name, lines in behind.items() if lines} == {
        "remove_subscription": 1, "save_subscription": 2,
    }  # fmt: skip
    assert all(line.startswith("note_row(") for lines in behind.values() for line in lines)
