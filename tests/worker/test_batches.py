"""Handlers that take many deliveries at once: one call, and every delivery's own end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from eventsys import (
    BatchError,
    DeadLetterFilter,
    DeliveryStatus,
    Event,
    EventService,
    EventStatus,
    NotFoundError,
    Reject,
    Retry,
)
from tests.support.waiting import eventually
from tests.worker.batching import Calls, declare, kinds, publish
from tests.worker.test_time_limits import SAID

Start = Callable[..., Any]


class Click(BaseModel):
    """A payload."""

    n: int


@kinds
def test_a_full_batch_is_one_call_at_once_and_each_delivery_is_recorded(
    events: EventService, start_worker: Start, kind: str
) -> None:
    calls = Calls()
    declare(events, kind, calls, batch_wait="1m")
    start_worker(events.broker)
    made = publish(events, 8)
    for one in made:
        record = events.wait(one.id)
        (delivery,) = record.deliveries
        assert (record.status, delivery.status, delivery.attempts) == (
            EventStatus.DELIVERED,
            DeliveryStatus.SUCCEEDED,
            1,
        )
    assert [len(batch) for batch in calls.batches] == [4, 4]
    assert sorted(n for batch in calls.batches for n in batch) == list(range(8))
    assert events.get_metrics().delivered_events == 8
    assert events.get_metrics(by="subscription")["clicks"].succeeded == 8


@kinds
def test_what_does_not_fill_a_batch_goes_when_its_first_has_waited(
    events: EventService, start_worker: Start, kind: str
) -> None:
    calls = Calls()
    declare(events, kind, calls, batch_size=500, batch_wait="50ms")
    start_worker(events.broker)
    events.wait(events.publish("click.made", {"n": 7}).id, timeout="60s")
    assert calls.batches == [[7]]


@kinds
def test_only_those_that_a_batch_error_names_fail_and_each_is_tried_again(
    events: EventService, start_worker: Start, kind: str
) -> None:
    failed: set[int] = set()

    def act(number: int, batch: list[Event[Any]]) -> None:
        odd = {event.id: event.payload["n"] for event in batch if event.payload["n"] % 2}
        errors = {event_id: ValueError(f"no {n}") for event_id, n in odd.items() if n not in failed}
        failed.update(odd.values())
        raise BatchError(errors)

    calls = Calls(act)
    declare(events, kind, calls, batch_wait="200ms")
    start_worker(events.broker)
    made = publish(events, 4)
    records = [events.wait(one.id) for one in made]
    assert [record.deliveries[0].attempts for record in records] == [1, 2, 1, 2]
    assert {record.status for record in records} == {EventStatus.DELIVERED}
    assert records[1].deliveries[0].history[0].error == "ValueError: no 1"
    assert sorted(n for batch in calls.batches for n in batch) == [0, 1, 1, 2, 3, 3]


@kinds
def test_any_other_exception_fails_all_and_each_is_its_own_dead_letter(
    events: EventService, start_worker: Start, kind: str
) -> None:
    def act(number: int, batch: list[Event[Any]]) -> None:
        raise ValueError("all of it")

    calls = Calls(act)
    declare(events, kind, calls, max_retries=0)
    start_worker(events.broker)
    made = publish(events, 4)
    for one in made:
        assert events.wait(one.id).status is EventStatus.FAILED
    letters = events.dead_letters.list(DeadLetterFilter()).items
    assert {letter.event.id for letter in letters} == {one.id for one in made}
    assert {(letter.reason, letter.error) for letter in letters} == {("failed", "ValueError: all of it")}


def test_a_batch_error_may_reject_one_and_ask_for_another_delay_of_another(
    events: EventService, start_worker: Start
) -> None:
    def act(number: int, batch: list[Event[Any]]) -> None:
        if number == 1:
            by_n = {event.payload["n"]: event.id for event in batch}
            raise BatchError({by_n[0]: Reject("not wanted"), by_n[1]: Retry(delay="1h")})

    calls = Calls(act)
    declare(events, "function", calls)
    start_worker(events.broker)
    made = publish(events, 4)
    assert [events.wait(made[at].id).status for at in (0, 2, 3)] == ["failed", "delivered", "delivered"]
    (letter,) = events.dead_letters.list(DeadLetterFilter()).items
    assert (letter.reason, letter.event.id) == ("rejected", made[0].id)
    (waiting,) = events.delayed.get_waiting_retries().items
    assert waiting.event.id == made[1].id


def test_a_batch_error_that_names_a_stranger_fails_all_of_the_batch(events: EventService, start_worker: Start) -> None:
    def act(number: int, batch: list[Event[Any]]) -> None:
        raise BatchError({"somebody-else": ValueError()})

    declare(events, "function", Calls(act), max_retries=0)
    start_worker(events.broker)
    made = publish(events, 4)
    assert {events.wait(one.id).status for one in made} == {EventStatus.FAILED}
    (first, *_) = events.dead_letters.list(DeadLetterFilter()).items
    assert "'somebody-else', which is not in the batch of 4" in first.error


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_a_payload_that_does_not_fit_is_a_dead_letter_and_left_out_of_the_list(
    events: EventService, start_worker: Start, kind: str
) -> None:
    seen: list[list[int]] = []

    def typed(batch: list[Event[Click]]) -> None:
        seen.append([event.payload.n for event in batch])

    async def typed_coroutine(batch: list[Event[Click]]) -> None:
        typed(batch)

    handler: Any = typed if kind == "function" else typed_coroutine
    events.on("click.*", name="typed", batch_size=3, batch_wait="1m")(handler)

    start_worker(events.broker)
    made = events.publish_many([("click.made", {"n": 1}), ("click.made", {"n": "many"}), ("click.made", {"n": 3})])
    statuses = [events.wait(one.id).status for one in made]
    assert statuses == [EventStatus.DELIVERED, EventStatus.FAILED, EventStatus.DELIVERED]
    assert seen == [[1, 3]]
    (letter,) = events.dead_letters.list(DeadLetterFilter()).items
    assert (letter.reason, letter.event.id, letter.attempts) == ("invalid_payload", made[1].id, 1)


def test_an_event_that_is_too_late_is_left_out_and_expires(events: EventService, start_worker: Start) -> None:
    calls = Calls()
    declare(events, "function", calls, batch_size=100, batch_wait="300ms")
    start_worker(events.broker)
    late = events.publish("click.made", {"n": 1}, expire_after="1ms")
    fine = events.publish("click.made", {"n": 2})
    assert events.wait(fine.id).status is EventStatus.DELIVERED
    assert events.wait(late.id).status is EventStatus.EXPIRED
    assert calls.batches == [[2]]


@kinds
def test_the_timeout_of_the_call_ends_the_attempt_of_each_and_nothing_goes_out(
    events: EventService, start_worker: Start, kind: str
) -> None:
    if kind == "coroutine":

        @events.on("click.*", name="slow", batch_size=2, timeout="100ms", max_retries=0)
        async def slow_coroutine(batch: list[Event]) -> None:
            events.publish("sum.made", {}, id="sum")
            await asyncio.Event().wait()
    else:

        @events.on("click.*", name="slow", batch_size=2, timeout="100ms", max_retries=0)
        def slow(batch: list[Event]) -> None:
            events.publish("sum.made", {}, id="sum")
            until = time.monotonic() + 20
            while time.monotonic() < until:
                pass

    start_worker(events.broker)
    made = publish(events, 2)
    assert {events.wait(one.id).status for one in made} == {EventStatus.FAILED}
    letters = events.dead_letters.list(DeadLetterFilter()).items
    assert [letter.reason for letter in letters] == ["timeout", "timeout"]
    assert {letter.error for letter in letters} == {SAID.format("100 ms")}
    with pytest.raises(NotFoundError):
        events.get_event("sum")


def test_what_a_batch_publishes_goes_out_with_it_and_not_when_it_raises(
    events: EventService, start_worker: Start
) -> None:
    def act(number: int, batch: list[Event[Any]]) -> None:
        events.publish("sum.made", {"of": len(batch)}, id=f"sum-{number}")
        with pytest.raises(NotFoundError):
            events.get_event(f"sum-{number}")
        if number == 1:
            raise ValueError

    declare(events, "function", Calls(act), retry_delay="10ms")
    start_worker(events.broker)
    made = publish(events, 4)
    for one in made:
        events.wait(one.id)
    with pytest.raises(NotFoundError):
        events.get_event("sum-1")
    assert events.wait("sum-2").status is EventStatus.DELIVERED


def test_what_a_batch_publishes_goes_out_when_some_of_it_failed_and_not_when_all_did(
    events: EventService, start_worker: Start
) -> None:
    def act(number: int, batch: list[Event[Any]]) -> None:
        events.publish("sum.made", {}, id=f"sum-{number}")
        raise BatchError({event.id: ValueError() for event in (batch if number == 2 else batch[:1])})

    declare(events, "function", Calls(act), retry_delay="10ms", max_retries=1, batch_wait="2s")
    made = publish(events, 4)
    start_worker(events.broker)
    for one in made:
        events.wait(one.id)
    assert events.wait("sum-1").status is EventStatus.DELIVERED
    with pytest.raises(NotFoundError):
        events.get_event("sum-2")


def test_a_follow_up_of_several_chains_has_none_of_them_unless_its_cause_is_named(
    events: EventService, start_worker: Start
) -> None:
    told: list[Event[Any]] = []

    @events.on("click.*", name="clicks", batch_size=2, batch_wait="1m")
    def clicks(batch: list[Event]) -> None:
        told.append(events.publish("sum.made", {}))
        told.append(events.publish("sum.made", {}, caused_by=batch[1]))

    start_worker(events.broker)
    first, second = publish(events, 2)
    events.wait(first.id)
    events.wait(second.id)
    common, named = told
    assert (common.correlation_id, common.causation_id, common.depth) == (common.id, None, 1)
    causes = {first.id, second.id}
    assert named.causation_id in causes
    assert named.correlation_id == named.causation_id
    assert named.depth == 1


def test_a_follow_up_keeps_the_chain_that_all_of_the_batch_belong_to(events: EventService, start_worker: Start) -> None:
    told: list[Event[Any]] = []

    @events.on("click.*", name="clicks", batch_size=2, batch_wait="1m")
    def clicks(batch: list[Event]) -> None:
        told.append(events.publish("sum.made", {}))

    start_worker(events.broker)
    for one in publish(events, 2, correlation_id="one-visit"):
        events.wait(one.id)
    assert (told[0].correlation_id, told[0].causation_id) == ("one-visit", None)


def test_a_paused_subscription_leaves_nothing_in_the_list_and_uses_no_attempt(
    events: EventService, start_worker: Start
) -> None:
    calls = Calls()
    declare(events, "function", calls, batch_size=2)
    events.bus.prepare()
    events.subscriptions.pause("clicks")
    start_worker(events.broker)
    made = publish(events, 2)
    events.subscriptions.resume("clicks")
    assert [events.wait(one.id).deliveries[0].attempts for one in made] == [1, 1]
    assert sorted(n for batch in calls.batches for n in batch) == [0, 1]


def test_a_limit_of_concurrency_holds_for_the_deliveries_of_a_batch(events: EventService, start_worker: Start) -> None:
    calls = Calls()
    declare(events, "function", calls, batch_size=50, batch_wait="10ms", concurrency=3)
    start_worker(events.broker)
    for one in publish(events, 20):
        events.wait(one.id)
    assert max(len(batch) for batch in calls.batches) <= 3


def test_stopping_hands_back_what_still_gathers_and_uses_no_attempt(events: EventService, start_worker: Start) -> None:
    calls = Calls()
    declare(events, "function", calls, batch_size=100, batch_wait="1m")
    worker = start_worker(events.broker)
    made = publish(events, 5)
    keys = events.broker.keys
    eventually(lambda: len(worker._handoff._collecting) == 5)
    worker.stop(2_000)
    assert calls.batches == []
    pending = events.broker.link.call("XPENDING", keys.lane("shop", 5), "workers")
    assert pending[0] == 5
    assert pending[3] == [[b"returned", b"5"]]
    assert [events.get_event(one.id).deliveries[0].attempts for one in made] == [0] * 5
