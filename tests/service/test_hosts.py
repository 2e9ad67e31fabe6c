"""The processes that a subscription lives as long as: those that die, and those that were only away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from eventsys import EventService, EventStatus, RedisUnavailableError
from eventsys.broker.presence import Lease, Presence
from eventsys.bus.settling import settle
from tests.support.services import Services
from tests.support.waiting import eventually

#: Nothing happens by itself while a test runs.
_STILL = Lease(lease_ms=600_000, beat_s=600.0, scan_s=600.0, round_s=600.0)

pytestmark = pytest.mark.usefixtures("rounds_by_hand")


def _host(services: Services, name: str) -> EventService:
    """Return a process of the bus `name` that subscribed `shared` at run time."""
    events = services.make(name=name)
    events.broker.work.lease = _STILL
    events.subscribe("a.b", lambda event: None, name="shared")
    return events


def _take_over(dead: EventService, living: EventService) -> None:
    """Let a process count as dead, and another one take over from it."""
    dead.broker.link.call("ZADD", dead.broker.keys.processes, 1, dead.broker.presence.name)
    living.broker.presence.scan()


def test_whoever_died_is_a_host_no_longer(services: Services) -> None:
    """Else every restart after a crash made the list longer that all processes read in every round."""
    lasting = services.make()
    lasting.broker.work.lease = _STILL
    lasting.subscribe("a.b", lambda event: None, name="shared")
    for _ in range(3):
        _take_over(_host(services, lasting.settings.name), lasting)
    again = _host(services, lasting.settings.name)
    link, keys = lasting.broker.link, lasting.broker.keys
    living = {one.broker.presence.name.encode() for one in (lasting, again)}
    assert set(link.call("SMEMBERS", keys.hosts("shared"))) == living


@contextmanager
def _paused(presence: Presence, step: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the thread that beats stand still before a step of its turn, until the block is over."""
    stands_still, goes_on = threading.Event(), threading.Event()
    take_step = getattr(presence, step)

    def wait_and_take_it() -> None:
        stands_still.set()
        goes_on.wait(60)
        take_step()

    with monkeypatch.context() as during:
        during.setattr(presence, step, wait_and_take_it)
        assert stands_still.wait(60)
        yield
    goes_on.set()


def _has_ended_unhosted(living: EventService) -> bool:
    """Take over from whoever is dead by now, and say whether that ended `mine`."""
    living.broker.presence.scan()
    living.bus.tending.make_round()
    return living.bus.subscriptions.get("mine") is None


@pytest.mark.parametrize("step", ["beat", "_look"])
def test_what_ended_while_its_process_was_away_is_hosted_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Else its handler gets nothing until the process is started anew, though the process goes on."""
    other = services.make()
    other.broker.work.lease = _STILL
    services.work(other)
    away = services.make(name=other.settings.name)
    away.broker.work.lease = Lease(lease_ms=200, beat_s=0.05, scan_s=0.05, round_s=600.0)
    seen: list[str] = []
    away.subscribe("a.b", lambda event: seen.append(event.id), name="mine")
    away.bus.tending.make_round()
    with _paused(away.broker.presence, step, monkeypatch):
        eventually(lambda: _has_ended_unhosted(other))
    eventually(lambda: other.bus.subscriptions.get("mine") is not None)
    away.start()
    event = other.publish("a.b", {})
    assert other.wait(event.id).status is EventStatus.DELIVERED
    assert seen == [event.id]


def test_what_lives_as_long_as_its_process_does_not_end_before_the_lease_of_that(services: Services) -> None:
    """A lease that is overdue may be renewed, and nothing would tell that process to declare anew."""
    other = services.make()
    away = _host(services, other.settings.name)
    other.broker.work.lease = _STILL
    services.work(other)
    keys = other.broker.keys
    other.broker.link.call("ZADD", keys.processes, 1, away.broker.presence.name)
    other.bus.tending.make_round()
    assert other.bus.subscriptions.get("shared") is not None
    away.broker.presence.beat()
    other.broker.presence.scan()
    other.bus.tending.make_round()
    assert other.bus.subscriptions.get("shared") is not None
    _take_over(away, other)
    other.bus.tending.make_round()
    assert other.bus.subscriptions.get("shared") is None


def test_hosts_are_read_where_some_may_have_gone_and_no_more(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process read those of every subscription that ends with them, in every round, all in one round trip."""
    lasting = services.make()
    other = _host(services, lasting.settings.name)
    lasting.broker.work.lease = _STILL
    names = {"shared", *(f"own-{number:03}" for number in range(250))}
    for name in names - {"shared"}:
        lasting.subscribe("a.b", lambda event: None, name=name)
    asked = _hosts_asked_for(lasting, monkeypatch)

    def read_in_a_round() -> list[int]:
        asked.clear()
        lasting.bus.tending.make_round()
        return asked

    assert read_in_a_round() == [200, 51]
    assert read_in_a_round() == []
    _take_over(other, lasting)
    assert read_in_a_round() == [200, 51]
    assert {one.name for one in lasting.bus.subscriptions.all().subscriptions} == names - {"shared"}
    assert read_in_a_round() == [200, 50]
    assert read_in_a_round() == []


def test_what_could_not_be_ended_is_ended_in_the_next_round(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting = services.make()
    other = _host(services, lasting.settings.name)
    lasting.broker.work.lease = _STILL
    lasting.subscribe("a.b", lambda event: None, name="own")
    lasting.bus.tending.make_round()
    _take_over(other, lasting)

    def be_away(*_: object) -> bool:
        raise RedisUnavailableError("away")

    with monkeypatch.context() as during:
        during.setattr(lasting.bus.subscriptions, "leave", be_away)
        with pytest.raises(RedisUnavailableError):
            lasting.bus.tending.make_round()
    lasting.bus.tending.make_round()
    assert lasting.bus.subscriptions.get("shared") is None


def test_what_is_declared_again_without_a_living_host_is_ended(services: Services) -> None:
    """Neither the names of subscriptions nor the living processes are others than when hosts were read last."""
    lasting = services.make()
    other = _host(services, lasting.settings.name)
    lasting.broker.work.lease = _STILL
    lasting.subscribe("a.b", lambda event: None, name="own")
    lasting.bus.tending.make_round()
    store = other.bus.subscriptions
    shared = store.get("shared")
    assert shared is not None
    assert store.leave("shared", other.broker.presence.name)
    assert settle(other.broker, "shared", shared.queue)
    store.save(shared, 0, host="of-nobody")
    lasting.bus.tending.make_round()
    assert store.get("shared") is None


def _hosts_asked_for(events: EventService, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that is given, from now on, of how many subscriptions a service reads the hosts in a round trip."""
    asked: list[int] = []
    link, stem = events.broker.link, events.broker.keys.hosts("")
    pipeline = link.pipeline

    def note(commands: Sequence[Any]) -> list[Any]:
        count = sum(one[0] == "SMEMBERS" and one[1].startswith(stem) for one in commands)
        asked.extend([count] if count else [])
        return pipeline(commands)

    monkeypatch.setattr(link, "pipeline", note)
    return asked
