"""Too much of something: it stays up, says what is wrong, and recovers when the cause is gone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import DeadLetterFilter, DeliveryStatus, Event, EventFilter, EventService, EventStatus, Priority
from eventsys.broker.backlog import MOST_ENDS
from eventsys.broker.prefetch import MOST
from eventsys.broker.worker import Worker
from eventsys.testing import EventHarness
from tests.conftest import FreshRedis
from tests.support.waiting import eventually


def test_while_redis_is_away_a_process_holds_no_more_than_it_may(
    fresh_redis: Callable[[], FreshRedis], services: Any
) -> None:
    server = fresh_redis()
    events: EventService = services.make(redis_url=server.url)
    handled: Counter[str] = Counter()
    away = threading.Event()

    @events.on("tick", name="count")
    def count(event: Event) -> None:
        handled[event.id] += 1
        if len(handled) == 500 and not away.is_set():
            server.kill()
            away.set()

    ids = [event.id for event in events.publish_many([("tick", {}) for _ in range(2_500)])]
    services.work(events, Worker, threads=8)
    assert away.wait(60)
    in_flight = events.broker.work.in_flight
    eventually(lambda: not in_flight.is_busy)
    # Nothing runs and nothing is fetched: what is over waits for its commit, and that is all there is.
    assert in_flight.held("tests") <= MOST
    assert len(events.broker.work.committer.backlog) <= MOST_ENDS + 2 * MOST
    assert len(handled) < len(ids)
    server.start()
    eventually(lambda: events.get_metrics().succeeded == len(ids))
    assert handled.keys() == set(ids)


def test_a_subscriber_that_never_succeeds_holds_up_nobody_and_is_told_of(harness: EventHarness) -> None:
    events, works = harness.events, [False]
    good: list[str] = []

    @events.on("order.paid", name="broken", max_retries=2, retry_delay="1m")
    def broken(event: Event) -> None:
        if not works[0]:
            raise RuntimeError("never")

    @events.on("order.paid", name="good")
    def well(event: Event) -> None:
        good.append(event.id)

    events.publish_many([("order.paid", {}) for _ in range(150)])
    harness.run()
    assert len(good) == 150
    harness.advance(minutes=4)
    assert events.dead_letters.list(DeadLetterFilter(subscription="broken")).total == 150
    rules = {one.rule for one in events.alerts.active()}
    assert {"failure_ratio", "dead_letters"} <= rules
    told = events.get_event_records(EventFilter(types=["system.warning"])).items
    assert any("broken" in str(one.payload) for one in told)

    works[0] = True
    events.dead_letters.redrive_all(DeadLetterFilter(subscription="broken"))
    harness.advance(minutes=10)
    assert events.dead_letters.list().total == 0
    assert events.get_event_records(EventFilter(types=["order.paid"], status=EventStatus.FAILED)).total == 0
    assert not {one.rule for one in events.alerts.active()} & {"failure_ratio", "dead_letters"}


def test_a_storm_of_retries_waits_in_redis_and_lets_the_urgent_through(harness: EventHarness) -> None:
    events, order = harness.events, list[str]()

    @events.on("order.paid", name="provider", max_retries=1, retry_delay="1m")
    def provider(event: Event) -> None:
        attempts = [one for one in order if one == event.id]
        order.append(event.id)
        if not attempts:
            raise RuntimeError("the provider is down")
        if len(order) == 701:
            events.publish("alarm.raised", {}, priority=Priority.CRITICAL, immediately=True)

    @events.on("alarm.raised", name="alarm")
    def alarm(event: Event) -> None:
        order.append("alarm")

    ids = {event.id for event in events.publish_many([("order.paid", {}) for _ in range(700)])}
    harness.run()
    assert events.broker.work.in_flight.held("tests") == 0
    assert events.broker.link.call("ZCARD", events.broker.keys.delayed_due) == 700
    harness.advance(minutes=2)
    assert order.index("alarm") - 701 <= MOST
    assert Counter(order) == {**dict.fromkeys(ids, 2), "alarm": 1}
    totals = events.get_metrics()
    assert (totals.succeeded, totals.retries, totals.dead) == (701, 700, 0)


@pytest.mark.parametrize("way", ["publish", "schedule"])
def test_a_handler_that_feeds_itself_is_stopped_and_told_why(harness: EventHarness, way: str) -> None:
    events = harness.events
    depth = events.settings.max_depth

    @events.on("order.paid", name="loops", max_retries=1, retry_delay="1s")
    def loops(event: Event) -> None:
        if way == "publish":
            events.publish("order.paid", {})
        else:
            events.schedule("order.paid", {}, delay="1s")

    events.publish("order.paid", {})
    harness.advance(minutes=5)
    assert events.get_event_records(EventFilter(types=["order.paid"])).total == depth + 1
    [letter] = events.dead_letters.list().items
    assert letter.attempts == 2
    assert f"max_depth is {depth}" in (letter.error or "")


def test_two_handlers_that_feed_each_other_are_stopped_too(harness: EventHarness) -> None:
    events = harness.events
    events.on("ping", name="to-pong", max_retries=0)(lambda event: events.publish("pong", {}))
    events.on("pong", name="to-ping", max_retries=0)(lambda event: events.publish("ping", {}))
    events.publish("ping", {})
    harness.advance(minutes=1)
    assert events.get_event_records().total <= events.settings.max_depth + 3
    assert events.dead_letters.list().total == 1


def test_a_thousand_subscriptions_of_five_hundred_types_are_told_apart(harness: EventHarness) -> None:
    events, got = harness.events, Counter[str]()

    def note(event: Event) -> None:
        got[event.type] += 1

    for number in range(1_000):
        events.on(f"many.type{number // 2}", name=f"subscriber-{number}")(note)
    published = [events.publish(f"many.type{number}", {}) for number in (0, 250, 499)]
    harness.run()
    assert got == {"many.type0": 2, "many.type250": 2, "many.type499": 2}
    for event in published:
        assert [one.status for one in events.get_event(event.id).deliveries] == [DeliveryStatus.SUCCEEDED] * 2
