"""What is read to tell how one subscription stands, and which subscriptions somebody hosts: no more than is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventService
from eventsys.bus.vigil import Vigil
from eventsys.store import hosts
from eventsys.store.link import Link
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Every command that this thread sends from here on."""
    commands: list[tuple[Any, ...]] = []
    own, pipeline, call = threading.get_ident(), Link.pipeline, Link.call

    def piped(link: Link, several: Any) -> Any:
        if threading.get_ident() == own:
            commands.extend(map(tuple, several))
        return pipeline(link, several)

    def called(link: Link, *command: Any) -> Any:
        if threading.get_ident() == own:
            commands.append(command)
        return call(link, *command)

    monkeypatch.setattr(Link, "pipeline", piped)
    monkeypatch.setattr(Link, "call", called)
    return commands


def _handle(event: Event) -> None:
    """Do nothing."""


def _busy(services: Services) -> EventService:
    """Return a bus with five subscriptions, of which each has had a delivery of each of two types."""
    events = services.make()
    for number in range(5):
        events.on("step.*", name=f"takes-{number}")(_handle)
    services.work(events)
    for name in ("step.taken", "step.missed"):
        events.wait(events.publish(name, {}).id)
    eventually(lambda: events.subscriptions.get("takes-0").hosts)
    return events


@pytest.mark.parametrize(
    "ask",
    [
        lambda one: one.subscriptions.get("takes-3"),
        lambda one: one.subscriptions.pause("takes-3"),
        lambda one: one.subscriptions.resume("takes-3"),
    ],
    ids=["get", "pause", "resume"],
)
def test_of_one_subscription_nothing_is_counted_but_its_own(
    services: Services, sent: list[tuple[Any, ...]], ask: Callable[[EventService], Any]
) -> None:
    events = _busy(services)
    keys = events.broker.keys
    subscription = events.subscriptions.get("takes-3").subscription
    sent.clear()
    standing = ask(events)
    own = {keys.delivery_metrics(f"step.{name}:{subscription.number}") for name in ("taken", "missed")}
    assert {key for name, key, *_ in sent if name == "HGETALL" and ":metrics:" in key} == own
    assert not [key for name, key, *_ in sent if ":metrics:times:" in str(key) or ":metrics:type" in str(key)]
    assert ("HGETALL", keys.unhosted) not in sent
    assert [standing] == [one for one in events.subscriptions.list() if one.name == "takes-3"]
    assert (standing.backlog, len(standing.hosts)) == (0, 1)


def test_the_backlog_of_one_counts_what_is_open_under_all_its_numbers(services: Services) -> None:
    events = _busy(services)
    keys, link = events.broker.keys, events.broker.link
    number = events.subscriptions.get("takes-3").subscription.number
    link.call("HINCRBY", keys.delivery_metrics(f"step.taken:{number}"), "opened", 4)
    link.call("HINCRBY", keys.delivery_metrics(f"step.missed:{number}"), "redriven", 2)
    other = events.subscriptions.get("takes-4").subscription.number
    link.call("HSET", keys.subscription_names, other, "takes-3")  # as where one was renamed after one had ended
    link.call("HINCRBY", keys.delivery_metrics(f"step.taken:{other}"), "opened", 8)
    standing = events.subscriptions.get("takes-3")
    assert standing.backlog == 14
    assert standing.backlog == next(one.backlog for one in events.subscriptions.list() if one.name == "takes-3")


def test_the_look_at_who_is_unhosted_makes_no_host_for_each_subscription_of_each_process(
    services: Services, monkeypatch: pytest.MonkeyPatch, sent: list[tuple[Any, ...]]
) -> None:
    """Only whether somebody hosts a subscription is asked; and one process whose entry is odd hides no other."""
    events = _busy(services)
    keys, link = events.broker.keys, events.broker.link
    real_ms = events.broker.clock.real_ms()
    link.call("ZADD", keys.processes, real_ms + 600_000, "odd", real_ms + 600_000, "typed", real_ms + 600_000, "none")
    link.call("HSET", keys.process("odd"), "subscriptions", "7,x")
    link.call("SADD", keys.process("typed"), "7")
    made: list[Any] = []
    monkeypatch.setattr(hosts, "Host", lambda *fields: made.append(fields))
    sent.clear()
    vigil = Vigil(events.bus.hosts, events.bus.subscriptions, events.bus.system, events.broker.clock)
    vigil.look(events.bus.subscriptions.readable())
    assert made == []
    assert {command[2:] for command in sent if ":process:" in str(command[1])} == {("subscriptions",)}
    assert link.call("HGETALL", keys.unhosted) == []
    numbers = {one.number for one in events.bus.subscriptions.readable()}
    assert events.bus.hosts.hosted_numbers(real_ms) == numbers
