"""What has fired can be taken back as far as nobody has begun it; what waits for its next attempt can be too."""

from __future__ import annotations

import threading

import pytest

from eventsys import AlreadyFiredError, Event, EventStatus, NotFoundError, SubscriptionOptions
from eventsys.model.status import DeliveryStatus
from eventsys.testing import EventHarness
from tests.support.waiting import eventually


@pytest.fixture
def dispatched(events, services):
    """Publish events that are dispatched to `one` and `two`, whose queue nobody reads."""
    for name in ("one", "two"):
        events.on("order.#", name=name, queue="unread")(lambda event: None)
    services.work(events, queues={"eventsys.log"})

    def publish(number: int = 1):
        made = [events.publish("order.placed", {"n": n}) for n in range(number)]
        eventually(lambda: all(len(events.get_event(one.id).deliveries) == 2 for one in made))
        return made

    return publish


@pytest.mark.redis62
def test_deliveries_that_nobody_has_begun_end_with_a_cancelled_event(events, dispatched) -> None:
    first, second, third = dispatched(3)
    cancelled = events.cancel(second.id)
    assert (cancelled.id, cancelled.status) == (second.id, EventStatus.CANCELLED)
    record = events.get_event(second.id)
    assert [one.status for one in record.deliveries] == [DeliveryStatus.CANCELLED] * 2
    assert record.status is EventStatus.CANCELLED
    assert events.get_metrics().cancelled_events == 1
    assert sum(events.broker.link.call("XLEN", events.broker.keys.lane("unread", lane)) for lane in (1, 5, 8, 10)) == 4
    for other in (first, third):
        assert events.get_event(other.id).status is EventStatus.PENDING
    with pytest.raises(AlreadyFiredError):
        events.cancel(second.id)


def test_an_event_that_is_not_dispatched_is_cancelled_and_never_delivered(events, services) -> None:
    calls = []
    events.on("order.#", name="one")(calls.append)
    event = events.publish("order.placed", {})
    assert events.cancel(event.id).status is EventStatus.CANCELLED
    after = events.publish("order.placed", {})
    services.work(events)
    events.wait(after.id)
    record = events.get_event(event.id)
    assert (record.status, record.deliveries) == (EventStatus.CANCELLED, [])
    assert [one.id for one in calls] == [after.id]


def test_what_a_process_holds_is_left_to_it(events, services) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @events.on("order.#", name="busy", queue="read")
    def busy(event) -> None:
        begun.set()
        go_on.wait(60)

    events.on("order.#", name="idle", queue="unread")(lambda event: None)
    services.work(events, queues={"eventsys.log", "read"})
    event = events.publish("order.placed", {})
    assert begun.wait(60)
    taken_back = events.cancel(event.id)
    assert taken_back.status is EventStatus.PENDING
    with pytest.raises(AlreadyFiredError):
        events.cancel(event.id)
    go_on.set()
    record = events.wait(event.id)
    assert {one.subscription: one.status for one in record.deliveries} == {
        "busy": DeliveryStatus.SUCCEEDED,
        "idle": DeliveryStatus.CANCELLED,
    }
    assert record.status is EventStatus.DELIVERED


def test_a_delivery_in_the_waiting_room_is_taken_back(services) -> None:
    here, elsewhere = services.make(), None
    elsewhere = services.make(name=here.settings.name)
    here.on("order.#", name="absent", queue="shared")(lambda event: None)
    here.bus.prepare()
    elsewhere.on("user.#", name="present", queue="shared")(lambda event: None)
    services.work(elsewhere)
    event = here.publish("order.placed", {})
    eventually(lambda: here.broker.link.call("XLEN", here.broker.keys.room("absent", 5)))
    assert here.cancel(event.id).status is EventStatus.CANCELLED
    assert here.broker.link.call("XLEN", here.broker.keys.room("absent", 5)) == 0
    assert here.get_event(event.id).status is EventStatus.CANCELLED


@pytest.mark.parametrize("event_id", ["a/b", 'quo"te', "back\\slash", "späť", "plain", '","type":"x'])
def test_a_delivery_that_was_moved_is_found_whatever_its_event_is_called(events, dispatched, event_id) -> None:
    (one, other) = (events.publish("order.placed", {}, id=name) for name in (event_id, event_id + "2"))
    eventually(lambda: len(events.get_event(other.id).deliveries) == 2)
    lane = events.broker.keys.lane("unread", 5)
    link, keys = events.broker.link, events.broker.keys
    for entry, fields in link.call("XRANGE", lane, "-", "+"):
        link.call("XADD", keys.room(fields[1].decode(), 5), entry, *fields)
        link.call("XDEL", lane, entry)
    assert events.cancel(one.id).status is EventStatus.CANCELLED
    assert events.get_event(other.id).status is EventStatus.PENDING


# One delivery


@pytest.mark.redis62
def test_a_waiting_retry_is_listed_and_can_be_cancelled(events, work_once_failing) -> None:
    event = work_once_failing()
    page = events.delayed.get_waiting_retries()
    [retry] = page.items
    assert (retry.event.id, retry.subscription, retry.attempts, page.total) == (event.id, "fails", 1, 1)
    assert events.delayed.get_waiting_retries("other").items == []
    ended = events.delayed.cancel_delivery(event.id, "fails")
    assert (ended.status, ended.attempts) == (DeliveryStatus.CANCELLED, 1)
    assert events.delayed.get_waiting_retries().items == []
    record = events.get_event(event.id)
    assert record.status is EventStatus.CANCELLED
    with pytest.raises(AlreadyFiredError, match="running or over"):
        events.delayed.cancel_delivery(event.id, "fails")
    with pytest.raises(NotFoundError, match="no delivery to 'unheard-of'"):
        events.delayed.cancel_delivery(event.id, "unheard-of")


def test_one_delivery_that_is_not_begun_is_cancelled_alone(events, dispatched) -> None:
    [event] = dispatched()
    assert events.delayed.cancel_delivery(event.id, "two").status is DeliveryStatus.CANCELLED
    record = events.get_event(event.id)
    assert {one.subscription: one.status for one in record.deliveries} == {
        "one": DeliveryStatus.PENDING,
        "two": DeliveryStatus.CANCELLED,
    }
    assert record.status is EventStatus.PENDING


def test_cancelling_an_event_leaves_its_waiting_retries_alone(events, work_once_failing) -> None:
    """An attempt was made: `cancel_delivery` is for that."""
    event = work_once_failing()
    with pytest.raises(AlreadyFiredError):
        events.cancel(event.id)
    assert len(events.delayed.get_waiting_retries().items) == 1


def test_a_run_time_subscription_is_served_like_any_other(events, services) -> None:
    events.subscribe("order.#", lambda event: None, SubscriptionOptions(), name="late")
    services.work(events, queues={"eventsys.log"})
    event = events.publish("order.placed", {})
    eventually(lambda: events.get_event(event.id).deliveries)
    assert events.cancel(event.id).status is EventStatus.CANCELLED


def _failing_again(harness: EventHarness) -> str:
    """Return an event that was handled, was replayed, and then failed: its replay waits for the next attempt."""

    @harness.events.on("order.#", name="again", retry_delay="1h")
    def handle(event: Event) -> None:
        if event.is_replay:
            raise ValueError("not again")

    event = harness.publish("order.placed", {})
    harness.run()
    harness.events.replays.replay("again")
    harness.run()
    return event.id


@pytest.mark.redis62
def test_a_retry_of_a_replay_is_listed_and_cancelled_by_the_name_in_the_record(harness: EventHarness) -> None:
    event_id = _failing_again(harness)
    events = harness.events
    assert [one.subscription for one in events.delayed.get_waiting_retries().items] == ["again#1"]
    with pytest.raises(AlreadyFiredError):  # the delivery of when the event was new is over
        events.delayed.cancel_delivery(event_id, "again")
    ended = events.delayed.cancel_delivery(event_id, "again#1")
    assert (ended.subscription, ended.status, ended.attempts) == ("again#1", DeliveryStatus.CANCELLED, 1)
    assert events.delayed.get_waiting_retries().total == 0
    assert events.get_event(event_id).status is EventStatus.DELIVERED
    with pytest.raises(NotFoundError):
        events.delayed.cancel_delivery(event_id, "again#2")
    assert events.get_metrics(by="subscription")["again"].backlog == 0


@pytest.mark.redis62
def test_a_replay_that_nobody_has_begun_is_cancelled_and_the_new_delivery_is_not(harness: EventHarness) -> None:
    event_id = _failing_again(harness)
    events = harness.events
    events.subscriptions.pause("again")
    new = harness.publish("order.placed", {}, priority=1)
    harness.run()
    events.replays.replay("again")
    harness.run()
    assert events.delayed.cancel_delivery(event_id, "again#2").status is DeliveryStatus.CANCELLED
    assert events.delayed.cancel_delivery(new.id, "again#2").status is DeliveryStatus.CANCELLED
    events.subscriptions.resume("again")
    harness.run()
    [delivery, replayed] = events.get_event(new.id).deliveries
    assert (delivery.status, replayed.status) == (DeliveryStatus.SUCCEEDED, DeliveryStatus.CANCELLED)
