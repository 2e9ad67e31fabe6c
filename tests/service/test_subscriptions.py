"""Subscriptions made, ended, hosted and unhosted, while events go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eventsys import (
    DeliveryStatus,
    Event,
    EventService,
    EventStatus,
    RedisUnavailableError,
    SubscriptionError,
    SubscriptionOptions,
)
from eventsys.bus import tending
from eventsys.store.keys import LOG_QUEUE
from tests.conftest import FreshRedis
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]


@pytest.mark.redis62
def test_a_subscription_gets_every_event_dispatched_after_subscribe_returned(services: Services) -> None:
    """Two processes dispatch with what they know; neither knows of the subscription before its commit is refused."""
    events = services.make()
    twin = services.make(name=events.settings.name)
    for one in (events, twin):
        services.work(one)
        one.wait(one.publish("a.b", {}).id)
    seen: list[str] = []
    with ThreadPoolExecutor(1) as thread:
        stop = threading.Event()
        running = thread.submit(lambda: [twin.publish("a.b", {}) for _ in iter(stop.is_set, True)])
        events.subscribe("a.b", lambda event: seen.append(event.id), name="late")
        events.start()
        after = [events.publish("a.b", {"n": n}) for n in range(100)]
        stop.set()
        running.result()
    for event in after:
        [delivery] = events.wait(event.id).deliveries
        assert delivery.status is DeliveryStatus.SUCCEEDED
    assert {event.id for event in after} <= set(seen)
    assert len(seen) == len(set(seen))


def test_an_event_that_is_dispatched_twice_has_one_delivery(events: EventService, quick_work: Work) -> None:
    """The log entry is added a second time, as a dispatcher would see it that was taken over after its commit."""
    seen: list[str] = []
    events.on("a.b", name="h")(lambda event: seen.append(event.id))
    quick_work()
    event = events.publish("a.b", {})
    events.wait(event.id)
    link, keys = events.broker.link, events.broker.keys
    [(entry, fields)] = link.call("XRANGE", keys.log(5), "-", "+")
    link.call("XADD", keys.log(5), entry + b"1", *fields)  # right behind it, not before the bus's own clock
    after = events.publish("a.b", {})
    events.wait(after.id)
    assert seen == [event.id, after.id]
    assert events.get_metrics().delivered_events == 2


def test_an_unreadable_entry_of_the_log_is_a_dead_letter_and_stops_nothing(events: EventService, work: Work) -> None:
    events.on("a.b", name="h")(lambda event: None)
    work()
    link, keys = events.broker.link, events.broker.keys
    events.wait(events.publish("a.b", {}).id)
    for junk in ("not json", '{"id": 3}', '{"id":"x","type":"a.b","format":99}'):
        facts = link.call("XINFO", "STREAM", keys.log(5))
        last = facts[facts.index(b"last-generated-id") + 1]
        link.call("XADD", keys.log(5), last + b"1", "e", junk)
    eventually(lambda: link.call("ZCARD", keys.dead) == 3)
    assert events.wait(events.publish("a.b", {}).id).status is EventStatus.DELIVERED


@pytest.mark.redis62
def test_unsubscribe_cancels_what_was_not_begun(events: EventService, quick_work: Work) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    @events.on("a.b", name="slow")
    def slow(event: Event) -> None:
        begun.set()
        goes_on.wait(60)

    quick_work(threads=1, queues={events.broker.actors["slow"].queue_name})
    quick_work(threads=1, queues={LOG_QUEUE})  # else the one thread that waits could not dispatch
    first, second = events.publish("a.b", {}), events.publish("a.b", {})
    begun.wait(60)
    eventually(lambda: all(events.get_event(one.id).deliveries for one in (first, second)))
    events.unsubscribe("a.b", "slow")
    goes_on.set()
    statuses = {events.wait(one.id).status for one in (first, second)}
    assert statuses == {EventStatus.DELIVERED, EventStatus.CANCELLED}
    assert events.wait(events.publish("a.b", {}).id).deliveries == []


def test_stop_waits_for_a_handler_that_was_unsubscribed_before(services: Services) -> None:
    """Else its threads go on without their connections, and each tells that it has lost Redis."""
    events = services.make()
    twin = services.make(name=events.settings.name)
    services.work(twin)
    begun, goes_on = threading.Event(), threading.Event()

    def handle(event: Event) -> None:
        begun.set()
        goes_on.wait(60)

    events.subscribe("a.b", handle, name="leaving")
    events.start()
    twin.publish("a.b", {})
    assert begun.wait(60)
    events.unsubscribe("a.b", "leaving")
    stopping = threading.Thread(target=events.stop)
    stopping.start()
    stopping.join(0.2)
    assert stopping.is_alive()
    goes_on.set()
    stopping.join()


@pytest.mark.parametrize(("pattern", "name"), [("a.b", "nobody"), ("a.c", "h")])
def test_only_what_is_subscribed_can_be_unsubscribed(events: EventService, pattern: str, name: str) -> None:
    events.on("a.b", name="h")(lambda event: None)
    with pytest.raises(SubscriptionError, match="cannot be unsubscribed"):
        events.unsubscribe(pattern, name)


def test_stop_ends_run_time_subscriptions_and_cancels_what_is_open(services: Services) -> None:
    events = services.make()
    twin = services.make(name=events.settings.name)
    services.work(twin)
    events.subscribe("a.b", lambda event: None, name="run-time")
    events.subscribe("a.b", lambda event: None, SubscriptionOptions(persistent=True), name="stays")
    event = twin.publish("a.b", {})
    eventually(lambda: len(twin.get_event(event.id).deliveries) == 2)
    events.stop()
    statuses = {one.subscription: one.status for one in twin.get_event(event.id).deliveries}
    assert statuses == {"run-time": DeliveryStatus.CANCELLED, "stays": DeliveryStatus.PENDING}
    later = services.make(name=events.settings.name)
    later.subscribe("a.b", lambda event: None, SubscriptionOptions(persistent=True), name="stays")
    later.start()
    assert later.wait(event.id).status is EventStatus.DELIVERED


@pytest.mark.parametrize("async_", [False, True], ids=["inside publish", "in a worker"])
def test_what_code_declares_runs_again_after_a_stop(services: Services, async_: bool) -> None:
    """The first test of a file ran it, and none of the others: `stop` had dropped it for good."""
    events, seen = services.make(), list[str]()
    twin = services.make(name=events.settings.name)
    events.on("a.b", name="mortal", async_=async_, persistent=False)(lambda event: seen.append(event.id))
    for number in range(2):
        worker = services.work(events)
        event = events.publish("a.b", {})
        events.wait(event.id)
        assert seen[number:] == [event.id]
        worker.stop()
        events.stop()
        assert twin.subscriptions.list() == []


@pytest.mark.parametrize("is_away", [True, False], ids=["Redis is away", "somebody publishes meanwhile"])
def test_what_code_declares_runs_again_whatever_happens_while_the_service_stops(
    fresh_redis: Callable[[], FreshRedis], services: Services, monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    server, seen = fresh_redis(), list[str]()
    events = services.make(redis_url=server.url)
    events.on("a.b", name="mortal", async_=False, persistent=False)(lambda event: seen.append(event.id))
    events.publish("a.b", {})
    if is_away:
        server.kill()
        with pytest.raises(RedisUnavailableError):
            events.stop()
        server.start()
    else:
        close = events.broker.close
        monkeypatch.setattr(events.broker, "close", lambda: events.bus.inline._look() or close())
        events.stop()
    again = events.publish("a.b", {})
    assert seen[1:] == [again.id]


@pytest.mark.parametrize("batch_size", [None, 10])
def test_each_of_several_run_time_subscriptions_has_a_worker_and_nobody_is_warned_of_that(
    events: EventService, quick_work: Work, caplog: pytest.LogCaptureFixture, batch_size: int | None
) -> None:
    """Each worker adds what tells it of queues; Dramatiq takes a second middleware of one type for a mistake."""
    seen: list[str] = []
    quick_work()
    events.start()
    for name in ("first", "second", "third"):
        options = SubscriptionOptions(batch_size=batch_size)
        events.subscribe("a.b", lambda _, name=name: seen.append(name), options, name=name)
    events.unsubscribe("a.b", "second")
    events.wait(events.publish("a.b").id)
    assert sorted(seen) == ["first", "third"]
    assert "adding a middleware of the same type twice" not in caplog.text


def test_a_run_time_subscription_lives_as_long_as_its_last_host(services: Services) -> None:
    one = services.make()
    two = services.make(name=one.settings.name)
    for host in (one, two):
        host.subscribe("a.b", lambda event: None, name="shared")
    one.stop()
    assert two.bus.subscriptions.get("shared") is not None
    two.stop()
    assert two.bus.subscriptions.get("shared") is None


def test_a_failing_subscribe_can_be_repeated(services: Services, events: EventService) -> None:
    events.broker.link.call("SET", events.broker.keys.format, 99)
    with pytest.raises(Exception, match="format 99"):
        events.subscribe("a.b", lambda event: None, name="h")
    events.broker.link.call("DEL", events.broker.keys.format)
    assert events.subscribe("a.b", lambda event: None, name="h").number == 1


def test_what_nobody_hosts_waits_and_comes_back_in_order_while_running(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="new")(lambda event: None)
    old.bus.prepare()
    old.bus.declarations.drop("new")
    services.work(old)  # a worker of the version before: it reads the queue and does not know the handler
    given = [old.publish("a.b", {"n": n}) for n in range(20)]
    link, keys = old.broker.link, old.broker.keys
    eventually(lambda: link.call("XLEN", keys.room("new", 5)) == 20)
    old.broker.close()
    seen: list[int] = []
    new = services.make(name=old.settings.name)
    new.on("a.b", name="new")(lambda event: seen.append(event.payload["n"]))
    services.work(new, threads=1)
    new.bus.tending.make_round()
    for event in given:
        assert new.wait(event.id).deliveries[0].attempts == 1


@pytest.mark.parametrize(
    "handler", [3, lambda: None, lambda one, two: None, object()], ids=["number", "none", "two", "object"]
)
def test_what_cannot_handle_an_event_is_refused(events: EventService, handler: Any) -> None:
    with pytest.raises(SubscriptionError):
        events.on("a.b", name="h")(handler)


def test_two_handlers_cannot_share_a_name(events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    with pytest.raises(SubscriptionError, match=r"two handlers are named 'h'.*test_subscriptions\.py"):
        events.on("a.b", name="h")(lambda event: None)


@pytest.mark.redis62
def test_a_name_that_is_declared_anew_before_it_is_settled_loses_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process ends a subscription and stands still; another one declares the name; then the first one settles."""
    events = services.make()
    twin = services.make(name=events.settings.name)
    services.work(events, queues={LOG_QUEUE})
    events.subscribe("a.b", lambda event: None, name="again")
    old = events.publish("a.b", {})
    eventually(lambda: events.get_event(old.id).deliveries)

    settle = tending.settle
    with monkeypatch.context() as standing_still:
        standing_still.setattr(tending, "settle", lambda *_: None)
        events.unsubscribe("a.b", "again")
    twin.subscribe("a.b", lambda event: None, name="again")
    assert [one.status for one in events.get_event(old.id).deliveries] == [DeliveryStatus.CANCELLED]
    new = events.publish("a.b", {})
    eventually(lambda: events.get_event(new.id).deliveries)
    queue = twin.subscriptions.get("again").subscription.queue
    settle(events.broker, "again", queue)
    twin.start()
    assert twin.wait(new.id).status is EventStatus.DELIVERED


def test_what_is_declared_while_the_set_is_being_read_stays_hosted(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = events.bus.subscriptions
    read = store.all

    def read_and_be_overtaken() -> Any:
        found = read()
        monkeypatch.setattr(store, "all", read)
        events.subscribe("a.b", lambda event: None, name="late")
        return found

    monkeypatch.setattr(store, "all", read_and_be_overtaken)
    events.bus.tending.forget()
    events.bus.tending.look()
    assert events.subscriptions.get("late").name == "late"
    assert "late" in events.broker.actors
