"""Persistent subscriptions that nobody hosts are reported after an hour."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import EventFilter, EventService
from eventsys.clock import from_ms
from tests.support.services import Services
from tests.support.waiting import eventually

_MINUTE_MS = 60_000


def test_a_subscription_without_a_host_for_an_hour_is_a_warning_that_ends_with_its_deploy(services: Services) -> None:
    events = services.make()
    gone = services.make(name=events.settings.name)
    gone.on("a.b", name="left-behind")(lambda event: None)
    gone.bus.prepare()
    clock = events.broker.clock
    start = clock.now_ms()
    clock.turn_to(start)
    services.work(events)
    events.bus.tending.make_round()
    eventually(lambda: events.subscriptions.get("left-behind").unhosted_since is not None)
    clock.turn_to(start + 59 * _MINUTE_MS)
    events.bus.tending.make_round()
    assert events.bus.system.flush(60)
    assert [one.key for one in events.bus.system.troubles()] == []
    clock.turn_to(start + 61 * _MINUTE_MS)
    events.bus.tending.make_round()
    eventually(lambda: [one.key for one in events.bus.system.troubles()] == ["unhosted:left-behind"])
    [warning] = events.get_event_records(EventFilter(types=("system.warning",))).items
    assert "no worker has had the handler of left-behind for 6" in warning.payload["message"]

    services.work(gone, queues={"tests"})
    eventually(lambda: events.subscriptions.get("left-behind").hosts)
    clock.turn_to(start + 63 * _MINUTE_MS)
    events.bus.tending.make_round()
    eventually(lambda: events.bus.system.troubles() == [])


def test_after_the_clock_was_set_back_the_hour_begins_anew(services: Services) -> None:
    events = services.make()
    gone = services.make(name=events.settings.name)
    gone.on("a.b", name="left-behind")(lambda event: None)
    gone.bus.prepare()
    clock = events.broker.clock
    start = clock.now_ms()
    clock.turn_to(start)
    services.work(events)
    events.bus.tending.make_round()
    eventually(lambda: events.subscriptions.get("left-behind").unhosted_since == from_ms(start))
    earlier = start - 600 * _MINUTE_MS
    clock.turn_to(earlier)
    events.bus.tending.make_round()
    eventually(lambda: events.subscriptions.get("left-behind").unhosted_since == from_ms(earlier))
    clock.turn_to(earlier + 61 * _MINUTE_MS)
    events.bus.tending.make_round()
    eventually(lambda: [one.key for one in events.bus.system.troubles()] == ["unhosted:left-behind"])


def _keys(events: EventService) -> list[str]:
    assert events.bus.system.flush(60)
    return [one.key for one in events.bus.system.troubles()]


def _look(events: EventService, minutes: float) -> None:
    """Make a round of this process so many minutes later."""
    clock = events.broker.clock
    clock.turn_to(clock.now_ms() + int(minutes * _MINUTE_MS))
    events.bus.tending.make_round()


@pytest.fixture
def watcher(services: Services) -> EventService:
    """A process that hosts nothing, and has its rounds made by the test."""
    events = services.make()
    clock = events.broker.clock
    clock.turn_to(clock.now_ms())
    events.broker.presence.beat()
    events.bus.tending.make_round()
    return events


def _leave_behind(services: Services, events: EventService, name: str, **options: Any) -> None:
    gone = services.make(name=events.settings.name)
    gone.on("a.b", name=name, **options)(lambda event: None)
    gone.bus.prepare()


@pytest.mark.usefixtures("rounds_by_hand")
def test_the_warning_of_one_that_was_deleted_ends_and_begins_anew(services: Services, watcher: EventService) -> None:
    """The remedy that the warning names did not end it, so what stood still later under that name was never told."""
    for _ in range(2):
        _leave_behind(services, watcher, "x")
        _look(watcher, 2)
        _look(watcher, 61)
        assert _keys(watcher) == ["unhosted:x"]
        watcher.subscriptions.delete("x")
        _look(watcher, 2)
        assert _keys(watcher) == []
    told = watcher.get_event_records(EventFilter(types=("system.warning",))).items
    assert [one.payload.get("ended", False) for one in told] == [True, False, True, False]
    assert told[0].payload["message"] == "x has ended, or has another name now"


@pytest.mark.usefixtures("rounds_by_hand")
def test_the_warning_of_one_that_was_renamed_goes_on_under_its_new_name(
    services: Services, watcher: EventService
) -> None:
    _leave_behind(services, watcher, "x")
    _look(watcher, 2)
    _look(watcher, 61)
    _leave_behind(services, watcher, "y", was="x")
    _look(watcher, 2)
    assert _keys(watcher) == ["unhosted:y"]


@pytest.mark.usefixtures("rounds_by_hand")
@pytest.mark.parametrize("end", ["renamed", "deleted"])
def test_the_warning_of_a_breaker_ends_though_nobody_saw_what_became_of_it(
    services: Services, watcher: EventService, end: str
) -> None:
    _leave_behind(services, watcher, "x", breaker=1)
    watcher.broker.link.call("HSET", watcher.broker.keys.open_breakers, "x", watcher.broker.clock.now_ms())
    watcher.broker.link.call("INCR", watcher.broker.keys.subscriptions_version)
    _look(watcher, 0)
    assert _keys(watcher) == ["breaker:x"]

    if end == "renamed":
        _leave_behind(services, watcher, "y", breaker=1, was="x")
    else:
        watcher.subscriptions.delete("x")
    later = services.make(name=watcher.settings.name)
    later.broker.presence.beat()
    later.bus.tending.make_round()
    assert _keys(later) == (["breaker:y"] if end == "renamed" else [])


@pytest.mark.usefixtures("rounds_by_hand")
def test_an_open_breaker_that_is_paused_is_no_closed_one(services: Services, watcher: EventService) -> None:
    """It was said that its deliveries ran, of what an operator had just paused to hold it open for longer."""
    _leave_behind(services, watcher, "x", breaker=1)
    link, keys = watcher.broker.link, watcher.broker.keys
    link.call("HSET", keys.open_breakers, "x", watcher.broker.clock.now_ms())
    watcher.subscriptions.pause("x")
    watcher.subscriptions.resume("x")
    _look(watcher, 2)
    watcher.subscriptions.pause("x")
    _look(watcher, 2)
    assert _keys(watcher) == ["breaker:x"]

    link.call("HDEL", keys.open_breakers, "x")  # as a success does of what had begun before
    _look(watcher, 2)
    assert _keys(watcher) == []
    [ended, _] = watcher.get_event_records(EventFilter(types=("system.warning",))).items
    assert ended.payload["message"] == "the breaker of x is closed again; it is paused"


@pytest.mark.usefixtures("rounds_by_hand")
def test_the_breaker_of_what_was_deleted_is_not_said_to_be_closed(services: Services, watcher: EventService) -> None:
    _leave_behind(services, watcher, "x", breaker=1)
    watcher.broker.link.call("HSET", watcher.broker.keys.open_breakers, "x", watcher.broker.clock.now_ms())
    _look(watcher, 2)
    watcher.subscriptions.delete("x")
    _look(watcher, 0)
    assert _keys(watcher) == []
    [ended, _] = watcher.get_event_records(EventFilter(types=("system.warning",))).items
    assert ended.payload["message"] == "x has ended, or has another name now"
