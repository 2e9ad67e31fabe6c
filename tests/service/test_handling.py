"""What becomes of an event: delivered, tried again, given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from eventsys import DeliveryStatus, Event, EventService, EventStatus, Reject, Retry
from eventsys.model.envelope import encode_event
from eventsys.testing import EventHarness
from tests.support.payloads import Notification
from tests.support.services import Services

Work = Callable[..., Any]


@pytest.mark.redis62
def test_every_matching_subscription_gets_the_event_once(events: EventService, work: Work) -> None:
    seen: list[tuple[str, str]] = []
    events.on("user.login", name="exact")(lambda event: seen.append(("exact", event.id)))
    events.on("user.*", name="one")(lambda event: seen.append(("one", event.id)))
    events.on("#", name="all")(lambda event: seen.append(("all", event.id)))
    events.on("order.#", name="other")(lambda event: seen.append(("other", event.id)))
    work()
    event = events.publish("user.login", {"user_id": "12345"}, source="auth-service")
    record = events.wait(event.id)
    assert sorted(seen) == [("all", event.id), ("exact", event.id), ("one", event.id)]
    assert record.status is EventStatus.DELIVERED
    assert {one.subscription: one.status for one in record.deliveries} == dict.fromkeys(
        ["exact", "one", "all"], DeliveryStatus.SUCCEEDED
    )


@pytest.mark.redis62
def test_a_failed_attempt_is_tried_again_and_the_record_tells_each(events: EventService, work: Work) -> None:
    attempts: list[int] = []

    @events.on("a.b", name="flaky", retry_delay="20ms")
    def flaky(event: Event) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError(f"no luck {len(attempts)}")

    work()
    record = events.wait(events.publish("a.b", {}).id)
    [delivery] = record.deliveries
    assert record.status is EventStatus.DELIVERED
    assert record.retry_count == 2
    assert [one.status for one in delivery.history] == ["failed", "failed", "succeeded"]
    assert [one.error for one in delivery.history] == ["ValueError: no luck 1", "ValueError: no luck 2", None]
    assert "raise ValueError" in (delivery.history[0].traceback or "")
    assert all(one.worker and one.worker.rpartition(":")[2].isdigit() for one in delivery.history)


def test_three_retries_are_four_attempts_then_a_dead_letter(harness: EventHarness) -> None:
    @harness.events.on("a.b", name="doomed", max_retries=3, retry_delay="10m")
    def doomed(event: Event) -> None:
        raise ValueError("always")

    began = harness.now
    record = harness.finish(harness.publish("a.b", {}))
    assert [one.at - began for one in harness.attempts("doomed")] == [timedelta(minutes=10 * n) for n in range(4)]
    assert record.status is EventStatus.FAILED
    assert record.error == "ValueError: always"
    assert record.deliveries[0].status is DeliveryStatus.DEAD
    assert [one.reason for one in harness.dead_letters()] == ["failed"]


def test_the_publisher_can_override_the_retries_for_one_event(harness: EventHarness) -> None:
    @harness.events.on("a.b", max_retries=0, retry_delay="1h")
    def handler(event: Event) -> None:
        raise ValueError("always")

    given = harness.publish("a.b", {}, max_retries=1, retry_delay="10s")
    plain = harness.publish("a.b", {})
    harness.advance("10s")
    assert harness.events.get_event(given.id).retry_count == 1
    assert harness.events.get_event(plain.id).retry_count == 0
    assert [one.event.id for one in harness.attempts()] == [given.id, plain.id, given.id]


def test_a_handler_may_ask_for_a_retry_after_a_time_of_its_own(harness: EventHarness) -> None:
    @harness.events.on("a.b", name="h", retry_delay="1h")
    def handler(event: Event) -> None:
        if not harness.attempts("h"):
            raise Retry("not yet", delay="10s")

    began = harness.now
    assert harness.finish(harness.publish("a.b", {})).deliveries[0].attempts == 2
    assert harness.now - began == timedelta(seconds=10)


def test_reject_ends_a_delivery_at_once_with_its_reason(events: EventService, work: Work) -> None:
    @events.on("a.b")
    def handler(event: Event) -> None:
        raise Reject("no such user")

    work()
    record = events.wait(events.publish("a.b", {}).id)
    assert record.deliveries[0].attempts == 1
    assert record.error == "Reject: no such user"
    assert letters(events) == [b"rejected"]


@pytest.mark.parametrize(
    ("rules", "error", "attempts"),
    [
        ({"retry_on": OSError}, OSError, 2),
        ({"retry_on": OSError}, ValueError, 1),
        ({"give_up_on": (KeyError, ValueError)}, ValueError, 1),
        ({"give_up_on": KeyError}, ValueError, 2),
    ],
)
def test_the_kind_of_error_decides_whether_it_is_tried_again(
    harness: EventHarness, rules: dict[str, Any], error: type[Exception], attempts: int
) -> None:
    @harness.events.on("a.b", max_retries=1, retry_delay="5s", **rules)
    def handler(event: Event) -> None:
        raise error

    assert harness.finish(harness.publish("a.b", {})).deliveries[0].attempts == attempts


def test_exponential_backoff_doubles_the_wait(harness: EventHarness) -> None:
    @harness.events.on("a.b", max_retries=9, retry_delay="1m", backoff="exponential")
    def handler(event: Event) -> None:
        raise ValueError

    harness.finish(harness.publish("a.b", {}))
    waits = [(later.at - earlier.at).total_seconds() / 60 for earlier, later in pairwise(harness.attempts())]
    for wait, longest in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.8 * longest <= wait <= longest


@pytest.mark.redis62
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_timeout_ends_the_attempt_as_failed(events: EventService, work: Work, is_async: bool) -> None:
    def stuck(event: Event) -> None:
        for _ in range(100):
            threading.Event().wait(0.02)

    async def waiting(event: Event) -> None:
        import asyncio

        await asyncio.Event().wait()

    events.on("a.b", name="late", timeout="100ms", max_retries=1, retry_delay="10ms")(waiting if is_async else stuck)
    work()
    [delivery] = events.wait(events.publish("a.b", {}).id).deliveries
    assert delivery.status is DeliveryStatus.DEAD
    assert [one.status for one in delivery.history] == ["timeout", "timeout"]
    assert letters(events) == [b"timeout"]


@pytest.mark.redis62
def test_a_typed_handler_gets_its_model(events: EventService, work: Work) -> None:
    seen: list[Notification] = []

    @events.on("user.notification")
    def send(event: Event[Notification]) -> None:
        seen.append(event.payload)

    work()
    events.wait(events.publish("user.notification", {"user_id": "7"}).id)
    assert seen == [Notification(user_id="7", title="none")]


def test_a_payload_that_does_not_fit_is_a_dead_letter_with_pydantics_words(events: EventService, work: Work) -> None:
    @events.on("user.notification", name="typed")
    def send(event: Event[Notification]) -> None:
        raise AssertionError("must not be called")

    work()
    record = events.wait(events.publish("user.notification", {"title": 3}).id)
    assert record.deliveries[0].attempts == 1
    assert "user_id: Field required" in (record.error or "")
    assert letters(events) == [b"invalid_payload"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_object_with_handle_is_a_handler(events: EventService, work: Work, is_async: bool) -> None:
    seen: list[str] = []

    class Sync:
        name = "greeter"
        event_type = "a.b"

        def handle(self, event: Event) -> None:
            seen.append(event.type)

    class Async(Sync):
        async def handle(self, event: Event) -> None:
            seen.append(event.type)

    events.on("a.b")(Async() if is_async else Sync())
    work()
    assert events.wait(events.publish("a.b", {}).id).deliveries[0].subscription == "greeter"
    assert seen == ["a.b"]


def test_an_event_nobody_wants_is_delivered_and_counted_as_unrouted(events: EventService, quick_work: Work) -> None:
    quick_work()
    record = events.wait(events.publish("a.b", {}).id)
    assert record.status is EventStatus.DELIVERED
    assert record.deliveries == []
    totals = events.get_metrics()
    assert (totals.total_events, totals.delivered_events, totals.unrouted_events) == (1, 1, 1)


def test_wildcards_do_not_match_what_the_system_says_about_itself(events: EventService, quick_work: Work) -> None:
    seen: list[str] = []
    events.on("#", name="all")(lambda event: seen.append("#"))
    events.on("*.error", name="one")(lambda event: seen.append("*"))
    events.on("system.#", name="named")(lambda event: seen.append("system.#"))
    quick_work()
    events.wait(events.publish("system.error", {"message": "x", "component": "y"}).id)
    assert seen == ["system.#"]


def test_a_filter_sees_payload_headers_and_fields_with_their_defaults(events: EventService, quick_work: Work) -> None:
    seen: list[str] = []
    events.on("a.b", name="amount", where={"payload.amount": {"numeric": [">=", 100]}})(lambda e: seen.append("amount"))
    events.on("a.b", name="default", where={"priority": 5, "version": 1})(lambda e: seen.append("default"))
    events.on("a.b", name="header", where={"headers.tenant": "x"})(lambda e: seen.append("header"))
    quick_work()
    events.wait(events.publish("a.b", {"amount": 99.5}).id)
    assert seen == ["default"]
    events.wait(events.publish("a.b", {"amount": 100}, headers={"tenant": "x"}).id)
    assert sorted(seen[1:]) == ["amount", "default", "header"]


def test_events_of_any_type_that_go_to_the_same_have_one_list_of_targets(events: EventService) -> None:
    """A commit sends each list once."""
    events.on("order.*", name="all")(lambda event: None)
    events.on("order.#", name="big", where={"payload.total": {"numeric": [">", 10]}})(lambda event: None)
    events.bus.prepare()

    def targets(event_type: str, total: int) -> list[Any]:
        envelope = encode_event(events.publish(event_type), b'{"total":%d}' % total).decode()
        return events.bus.router.route(envelope).targets

    assert targets("order.paid", 20)[1::4] == ["all", "big"]
    assert targets("order.paid", 20) is targets("order.sent", 30)
    assert targets("order.paid", 5) is targets("order.sent", 5)
    assert targets("order.paid", 5)[1::4] == ["all"]


def test_two_services_on_two_buses_do_not_hear_each_other(services: Services) -> None:
    left, right = services.make(), services.make()
    seen: list[str] = []
    left.on("a.b", name="same")(lambda event: right.publish("c.d", {}, id="from-left"))
    right.on("#", name="same")(lambda event: seen.append(event.type))
    services.work(left)
    services.work(right)
    left.wait(left.publish("a.b", {}).id)
    right.wait("from-left")
    assert seen == ["c.d"]


def letters(events: EventService) -> list[bytes]:
    """Return the reasons of all dead letters."""
    link, keys = events.broker.link, events.broker.keys
    return [link.call("HGET", keys.letter(one.decode()), "reason") for one in link.call("ZRANGE", keys.dead, 0, -1)]


def test_a_delivery_whose_end_cannot_be_stored_is_dead_and_its_event_ends(events: EventService, work: Work) -> None:
    """Its message is set aside, so nobody would ever end it: the event must not stay pending."""

    @events.on("a.b", name="flaky", retry_delay="1h")
    def flaky(event: Event) -> None:
        raise RuntimeError("once")

    work()
    link, keys = events.broker.link, events.broker.keys
    link.call("SET", keys.delayed_due, "no sorted set, so no retry can be kept")
    record = events.wait(events.publish("a.b").id, "60s")
    link.call("DEL", keys.delayed_due)
    [delivery] = record.deliveries
    assert (record.status, delivery.status) == (EventStatus.FAILED, DeliveryStatus.DEAD)
    assert "WRONGTYPE" in str(delivery.error)
    assert events.get_metrics().pending_events == 0
