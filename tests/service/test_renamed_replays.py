"""Replays of a subscription that gets another name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventService, ReplayState
from eventsys.model.subscription import Subscription
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("rounds_come_soon")


def _ignore(event: Event) -> None:
    """Nothing is asked of the handler here."""


def _declared(services: Services, like: EventService | None = None, **options: Any) -> EventService:
    """Return a service that has one handler, on the bus of another one."""
    service = services.make() if like is None else services.make(name=like.settings.name)
    service.on("a.b", **options)(_ignore)
    service.bus.prepare()
    return service


def _worked_off(services: Services, service: EventService, work: Callable[[], Any]) -> Any:
    """Do something while a worker runs, and return what came of it."""
    worker = services.work(service)
    try:
        return work()
    finally:
        worker.stop()
        services._workers.remove(worker)


def _publish(service: EventService, count: int) -> list[str]:
    events = [service.publish("a.b", {}) for _ in range(count)]
    return [service.wait(event.id).id for event in events]


def _replay(service: EventService, name: str) -> Any:
    """Replay everything, and return the replay when it has ended."""
    begun = service.replays.replay(name, rate=1_000)
    return eventually(lambda: (one := service.replays.get(begun.id)).ended_at and one)


def _carry_on(service: EventService, replay_id: str) -> Any:
    """Carry a replay on by hand until it has ended, and return it."""

    def ended() -> Any:
        service.replays.step()
        return (one := service.replays.get(replay_id)).ended_at and one

    return eventually(ended)


@pytest.mark.redis62
def test_a_replay_under_the_new_name_gives_again_what_one_under_the_old_name_gave(services: Services) -> None:
    old = _declared(services, name="old")

    def publish_and_replay() -> Any:
        ids = _publish(old, 3)
        return ids, _replay(old, "old")

    ids, first = _worked_off(services, old, publish_and_replay)
    assert (first.number, first.delivered, first.skipped) == (1, 3, 0)

    new = _declared(services, old, name="new", was="old")
    promised = new.replays.count("new").events
    second = _worked_off(services, new, lambda: _replay(new, "new"))
    assert (promised, second.number, second.delivered, second.skipped) == (3, 2, 3, 0)
    for event_id in ids:
        assert [one.subscription for one in new.get_event(event_id).deliveries] == ["new", "new#1", "new#2"]
    assert [one.subscription for one in new.replays.list()] == ["new", "new"]


def test_a_replay_that_runs_during_the_rename_goes_on_under_the_new_name(services: Services) -> None:
    old = _declared(services, name="old")
    ids = _worked_off(services, old, lambda: _publish(old, 3))
    begun = old.replays.replay("old", rate="1/h")
    assert old.replays.step() == 1

    new = _declared(services, old, name="new", was="old")
    link, keys = new.broker.link, new.broker.keys
    link.call("HSET", keys.replay(begun.id), "rate", 1_000)  # the others are due at once
    ended = _carry_on(new, begun.id)
    assert (ended.state, ended.error, ended.subscription) == (ReplayState.COMPLETED, None, "new")
    assert (ended.delivered, ended.skipped) == (3, 0)
    for event_id in ids:
        assert [one.subscription for one in new.get_event(event_id).deliveries] == ["new", "new#1"]


def test_a_rename_between_two_looks_of_who_carries_a_replay_on_does_not_end_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _declared(services, name="old")
    _worked_off(services, old, lambda: _publish(old, 1))
    begun = old.replays.replay("old", rate=1_000)
    get = old.bus.subscriptions.get

    def get_after_the_rename(name: str) -> Subscription | None:
        monkeypatch.setattr(old.bus.subscriptions, "get", get)
        _declared(services, old, name="new", was="old")
        return get(name)

    monkeypatch.setattr(old.bus.subscriptions, "get", get_after_the_rename)
    assert old.replays.step() == 0
    assert old.replays.get(begun.id).state is ReplayState.RUNNING
    assert _carry_on(old, begun.id).delivered == 1


@pytest.mark.parametrize(("of_new", "of_old"), [(3, 1), (1, 3)])
def test_the_first_replay_after_a_rename_follows_the_highest_number_of_both_names(
    services: Services, of_new: int, of_old: int
) -> None:
    bus = _declared(services, name="new")
    for _ in range(of_new):
        bus.replays.cancel(bus.replays.replay("new").id)
    bus.subscriptions.delete("new")
    bus = _declared(services, bus, name="old")
    for _ in range(of_old):
        bus.replays.cancel(bus.replays.replay("old").id)

    bus = _declared(services, bus, name="new", was="old")
    assert bus.replays.replay("new").number == 4
    assert set(bus.broker.link.call("HKEYS", f"{bus.broker.keys.prefix}:replays:numbers")) == {b"new", b"old"}
