"""What is too late to be begun ends as expired; what was begun in time, or waits for another attempt, never does."""

from __future__ import annotations

import os
from contextvars import copy_context
from datetime import timedelta

import dramatiq
import pytest

from eventsys import EventStatus, InvalidEventError
from eventsys.broker.recycling import recycle
from eventsys.clock import to_ms
from eventsys.model.status import DeliveryStatus
from tests.support.waiting import eventually

_HOUR = timedelta(hours=1)


def _later(events, by: timedelta) -> None:
    clock = events.broker.clock
    clock.turn_to(to_ms(clock.now() + by))


@pytest.fixture
def unread(events, services, request):
    """Publish events that are dispatched to `idle`, whose queue nobody reads; the parameter is its options."""
    events.on("order.#", name="idle", queue="unread", **getattr(request, "param", {}))(lambda event: None)
    services.work(events, queues={"eventsys.log"})

    def publish(**fields):
        event = events.publish("order.placed", {}, **fields)
        eventually(lambda: events.get_event(event.id).deliveries)
        return event

    return publish


@pytest.mark.redis62
def test_a_delivery_that_would_begin_too_late_ends_as_expired(events, work) -> None:
    calls = []
    events.on("order.#", name="ship")(calls.append)
    late = events.publish("order.placed", {}, expire_after="1h")
    never_late = events.publish("order.placed", {})
    _later(events, 2 * _HOUR)
    work()
    record = events.wait(late.id)
    assert record.status is EventStatus.EXPIRED
    [delivery] = record.deliveries
    assert (delivery.status, delivery.attempts, delivery.error) == (DeliveryStatus.EXPIRED, 0, None)
    assert events.wait(never_late.id).status is EventStatus.DELIVERED
    assert [one.id for one in calls] == [never_late.id]
    assert events.get_metrics().expired_events == 1


def test_a_coroutine_handler_is_not_begun_too_late_either(events, work) -> None:
    calls = []

    @events.on("order.#", name="ship")
    async def ship(event) -> None:
        calls.append(event)

    late = events.publish("order.placed", {}, expire_after="1h")
    _later(events, 2 * _HOUR)
    work()
    assert events.wait(late.id).status is EventStatus.EXPIRED
    assert calls == []


def test_a_delayed_event_may_be_begun_for_a_day_after_it_was_due(events, poller, quick_work) -> None:
    events.on("order.#", name="ship")(lambda event: None)
    in_time = events.schedule("order.placed", {}, delay="1h")
    too_late = events.schedule("order.placed", {}, delay="30m")
    own_limit = events.schedule("order.placed", {}, delay="1h", expire_after="10m")
    poller(in_time.delay_until)
    _later(events, timedelta(hours=24, minutes=45))
    quick_work()
    assert events.wait(in_time.id).status is EventStatus.DELIVERED
    assert events.wait(too_late.id).status is EventStatus.EXPIRED
    assert events.wait(own_limit.id).status is EventStatus.EXPIRED


def test_the_limit_is_counted_from_the_new_time_of_a_rescheduled_event(events, poller, quick_work) -> None:
    events.on("order.#", name="ship")(lambda event: None)
    event = events.schedule("order.placed", {}, delay="1h", expire_after="10m")
    moved = events.reschedule(event.id, delay="5h")
    poller(moved.delay_until)
    _later(events, 5 * _HOUR)
    quick_work()
    assert events.wait(event.id).status is EventStatus.DELIVERED


@pytest.mark.redis62
def test_a_sweep_ends_what_nobody_begins(events, unread) -> None:
    event, other = unread(expire_after="1h"), unread()
    now_ms = to_ms(events.broker.clock.now())
    assert events.store.delayed.expire(now_ms) == 0
    assert events.store.delayed.expire(now_ms + 3_600_000 + 60_000) == 1
    record = events.get_event(event.id)
    assert (record.status, record.deliveries[0].status) == (EventStatus.EXPIRED, DeliveryStatus.EXPIRED)
    assert events.get_event(other.id).status is EventStatus.PENDING
    assert events.broker.link.call("ZCARD", f"{events.broker.keys.prefix}:expiring") == 0


def test_a_sweep_ends_what_was_never_dispatched(events) -> None:
    event = events.publish("order.placed", {}, expire_after="1h")
    assert events.store.delayed.expire(to_ms(events.broker.clock.now() + 2 * _HOUR)) == 1
    assert events.get_event(event.id).status is EventStatus.EXPIRED
    assert events.get_metrics().expired_events == 1


def test_what_lay_in_a_queue_that_nobody_read_when_a_pause_began_is_never_too_late(events, services, unread) -> None:
    too_late = unread(expire_after="5m")
    event = unread(expire_after="1h")
    _later(events, timedelta(minutes=10))
    events.subscriptions.pause("idle")
    _later(events, 2 * _HOUR)
    events.subscriptions.resume("idle")
    assert events.store.delayed.expire(to_ms(events.broker.clock.now())) == 1
    afterwards = unread(expire_after="1h")
    _later(events, 2 * _HOUR)
    services.work(events, queues={"unread"})
    assert events.wait(event.id).status is EventStatus.DELIVERED
    assert events.wait(too_late.id).status is EventStatus.EXPIRED
    assert events.wait(afterwards.id).status is EventStatus.EXPIRED


@pytest.mark.redis62
def test_what_had_begun_in_time_is_not_too_late_when_its_process_ended_because_of_another(
    events, services, unread, monkeypatch
) -> None:
    twin = services.make(name=events.settings.name)
    twin.on("order.#", name="idle", queue="unread")(lambda event: None)
    twin.bus.prepare()
    begun, waiting, stuck = unread(expire_after="1h"), unread(expire_after="1h"), unread()
    consumer = twin.broker.consume("unread", prefetch=64, timeout=0)
    held = {message.event_id: message for message in eventually(consumer.take_all)}
    for event in (begun, stuck):
        copy_context().run(twin.broker.work.begin, held[event.id])
    monkeypatch.setattr(os, "_exit", lambda _: None)
    held[stuck.id].token = None  # it began in another context, which ended here
    copy_context().run(recycle, twin.broker, held[stuck.id], dramatiq.middleware.TimeLimitExceeded())
    _later(events, 2 * _HOUR)
    assert events.store.delayed.expire(to_ms(events.broker.clock.now())) == 1
    services.work(events, queues={"unread"})
    assert events.wait(begun.id).status is EventStatus.DELIVERED
    assert events.get_event(waiting.id).status is EventStatus.EXPIRED


@pytest.mark.parametrize("unread", [{"rate": "1/s"}], indirect=True, ids=["one a second"])
def test_what_lay_in_a_queue_when_a_pause_began_is_never_too_late_though_its_rate_turns_it_away(
    events, services, unread
) -> None:
    second = timedelta(seconds=1)

    def published(expire_after: str):
        _later(events, second)  # so that its rate lets each go to the queue
        return unread(expire_after=expire_after)

    def are_over() -> bool:
        _later(events, second)
        return all(events.get_event(one.id).status.is_final for one in [*held, afterwards])

    held = [published("1h") for _ in range(3)]
    _later(events, timedelta(minutes=10))
    events.subscriptions.pause("idle")
    _later(events, 2 * _HOUR)
    events.subscriptions.resume("idle")
    afterwards = published("500ms")
    assert events.subscriptions.get("idle").waiting == 0
    services.work(events, queues={"unread"})
    eventually(lambda: events.subscriptions.get("idle").waiting)
    eventually(are_over)
    assert {events.get_event(one.id).status for one in held} == {EventStatus.DELIVERED}
    assert events.get_event(afterwards.id).status is EventStatus.EXPIRED


def test_what_a_paused_subscription_holds_back_is_never_too_late(events, services) -> None:
    calls = []
    events.on("order.#", name="ship")(calls.append)
    events.bus.prepare()
    events.subscriptions.pause("ship")
    services.work(events)
    event = events.publish("order.placed", {}, expire_after="1h")
    eventually(lambda: events.get_event(event.id).deliveries)
    assert events.store.delayed.expire(to_ms(events.broker.clock.now() + 2 * _HOUR)) == 0
    _later(events, 2 * _HOUR)
    events.subscriptions.resume("ship")
    eventually(lambda: calls)


def test_what_waits_for_its_next_attempt_is_never_too_late(events, work_once_failing) -> None:
    """Only the first attempt may be too late: the retry carries no limit."""
    event = work_once_failing(expire_after="10m")
    assert events.store.delayed.expire(to_ms(events.broker.clock.now() + _HOUR)) == 0
    assert events.get_event(event.id).status is EventStatus.PENDING
    [retry] = events.store.delayed.entries()
    assert "x" not in retry.step[3][::2]


def test_an_event_that_ended_in_time_leaves_nothing_to_look_after(events, quick_work) -> None:
    event = events.publish("order.placed", {}, expire_after="1h")
    quick_work()
    events.wait(event.id)
    assert events.broker.link.call("ZCARD", f"{events.broker.keys.prefix}:expiring") == 0


def test_a_limit_of_nothing_is_refused(events) -> None:
    with pytest.raises(InvalidEventError, match="expire_after"):
        events.publish("order.placed", {}, expire_after="0s")
