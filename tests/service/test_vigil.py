"""Persistent subscriptions that nobody hosts are reported after an hour."""

from __future__ import annotations

from eventsys import EventFilter
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
