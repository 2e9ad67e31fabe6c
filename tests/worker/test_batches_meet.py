"""Batches beside whatever else happens to their deliveries: breakers, cancelling, replays, transactions, hooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest

from eventsys import (
    AlreadyFiredError,
    AttemptEndedError,
    BatchError,
    DeadLetterFilter,
    DeliveryStatus,
    Event,
    EventFilter,
    EventService,
    EventStatus,
    NotCommittedError,
    NotFoundError,
)
from eventsys.model.subscription import SubscriptionState
from tests.support.waiting import eventually
from tests.worker.batching import Calls, declare, kinds, publish

Start = Callable[..., Any]


class Held:
    """A call that goes on until the test lets it."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, number: int, events: list[Event[Any]]) -> None:
        self.has_begun.set()
        assert self.may_end.wait(60)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.may_end.set()


def _state(events: EventService) -> SubscriptionState:
    """Return it once the first round of the worker has said that it hosts it: until then nobody does."""
    return eventually(lambda: (standing := events.subscriptions.get("clicks")).hosts and standing).state


def _is_stored(events: EventService, event_id: str) -> bool:
    try:
        events.get_event(event_id)
    except NotFoundError:
        return False
    return True


def _failing(places: str, events: list[Event[Any]]) -> None:
    """Fail the events at whose places there is an `f`."""
    raise BatchError({event.id: OSError("down") for event, place in zip(events, places, strict=True) if place == "f"})


@pytest.mark.parametrize(
    ("places", "state"),
    [
        ("ffsff", SubscriptionState.ACTIVE),
        ("sffsf", SubscriptionState.ACTIVE),
        ("fffss", SubscriptionState.OPEN),
        ("sfffs", SubscriptionState.OPEN),
        ("fffff", SubscriptionState.OPEN),
    ],
)
def test_a_breaker_counts_the_events_of_a_batch_in_the_order_of_its_list(
    events: EventService, start_worker: Start, places: str, state: SubscriptionState
) -> None:
    """As if each had been handled alone: a success in between begins the count anew, one behind comes too late."""
    calls = Calls(lambda number, batch: _failing(places, batch))
    declare(events, "function", calls, batch_size=5, batch_wait="1m", breaker=3, breaker_wait="1h", max_retries=0)
    start_worker(events.broker)
    ended = [events.wait(one.id).status for one in publish(events, 5)]
    assert ended == [EventStatus.FAILED if place == "f" else EventStatus.DELIVERED for place in places]
    assert _state(events) is state
    assert len(calls.batches) == 1


def test_the_count_of_a_breaker_goes_on_from_one_batch_to_the_next(events: EventService, start_worker: Start) -> None:
    calls = Calls(lambda number, batch: _failing("sf" if number == 1 else "fs", batch))
    declare(events, "function", calls, batch_size=2, batch_wait="1m", breaker=2, breaker_wait="1h", max_retries=0)
    start_worker(events.broker)
    for one in publish(events, 2):
        events.wait(one.id)
    assert _state(events) is SubscriptionState.ACTIVE
    for one in publish(events, 2):
        events.wait(one.id)
    assert _state(events) is SubscriptionState.OPEN


def _make_due(worker: Any) -> None:
    """Let what gathers have waited enough."""
    handoff = worker._handoff
    with handoff._changed:
        for gathering in handoff._collecting._waiting.values():
            gathering.due = 0.0
        handoff._changed.notify_all()


def test_what_gathers_while_a_breaker_opens_waits_and_uses_no_attempt(
    events: EventService, start_worker: Start, held: Held
) -> None:
    """Then one tries alone."""
    clock = events.broker.clock

    def act(number: int, batch: list[Event[Any]]) -> None:
        if number == 1:
            held(number, batch)
            raise OSError("down")

    calls = Calls(act)
    declare(events, "function", calls, batch_size=3, batch_wait="1m", breaker=3, breaker_wait="1h", max_retries=0)
    clock.turn_to(clock.now_ms())
    worker = start_worker(events.broker)
    failing = publish(events, 3)
    assert held.has_begun.wait(60)
    waiting = publish(events, 2)
    eventually(lambda: len(worker._handoff._collecting) == 2)
    held.may_end.set()
    for one in failing:
        assert events.wait(one.id).status is EventStatus.FAILED
    eventually(lambda: events.broker.work.gates.closed)
    _make_due(worker)
    eventually(lambda: events.subscriptions.get("clicks").waiting == 2)
    assert len(calls.batches) == 1
    clock.turn_to(clock.now_ms() + 3_600_000)
    eventually(lambda: len(calls.batches) >= 2)
    assert len(calls.batches[1]) == 1
    # The other gathers, or tries alone too, where this process has not heard yet that the breaker is closed again.
    eventually(lambda: len(worker._handoff._collecting) == 1 or len(calls.batches) == 3)
    _make_due(worker)
    assert [events.wait(one.id).deliveries[0].attempts for one in waiting] == [1, 1]
    assert _state(events) is SubscriptionState.ACTIVE


@pytest.mark.parametrize("when", ["gathered", "handled"])
def test_what_a_process_holds_for_a_batch_has_begun_and_is_not_cancelled(
    events: EventService, start_worker: Start, held: Held, when: str
) -> None:
    calls = Calls(held)
    declare(events, "function", calls, batch_size=2 if when == "handled" else 3, batch_wait="1m")
    worker = start_worker(events.broker)
    made = publish(events, 2)
    if when == "handled":
        assert held.has_begun.wait(60)
    else:
        eventually(lambda: len(worker._handoff._collecting) == 2)
    with pytest.raises(AlreadyFiredError):
        events.cancel(made[1].id)
    with pytest.raises(AlreadyFiredError):
        events.delayed.cancel_delivery(made[1].id, "clicks")
    held.may_end.set()
    if when == "gathered":
        made += publish(events, 1)
    assert {events.wait(one.id).status for one in made} == {EventStatus.DELIVERED}
    assert len(calls.batches) == 1


def test_where_all_of_a_batch_was_ended_meanwhile_it_leaves_nothing(
    events: EventService, start_worker: Start, held: Held
) -> None:
    """As by whoever empties its queue: there is nothing left that what it published could commit with."""

    def act(number: int, batch: list[Event[Any]]) -> None:
        events.publish("sum.made", {}, id="sum")
        held(number, batch)

    declare(events, "function", Calls(act), batch_size=2)
    start_worker(events.broker)
    made = publish(events, 2)
    assert held.has_begun.wait(60)
    events.broker.flush("shop")
    assert {events.wait(one.id).status for one in made} == {EventStatus.CANCELLED}
    held.may_end.set()
    eventually(lambda: len(events.broker.work.in_flight) == 0)
    assert not _is_stored(events, "sum")


def test_a_batch_that_cannot_be_ended_gives_back_the_room_it_took(
    events: EventService, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an error of ours: its deliveries are tried again when this process is gone."""

    tried = threading.Event()

    def broken(*_: Any) -> None:
        tried.set()
        raise ValueError("of ours")

    declare(events, "function", Calls(), batch_size=4)
    start_worker(events.broker)
    with monkeypatch.context() as breaking:
        breaking.setattr("eventsys.broker.processing.end_batch", broken)
        publish(events, 4)
        assert tried.wait(60)
        in_flight = events.broker.work.in_flight
        eventually(lambda: not in_flight.is_busy)
    assert in_flight.held("shop") == 0


@kinds
def test_all_that_a_batch_leaves_behind_goes_out_with_its_commit_only(
    events: EventService, start_worker: Start, kind: str
) -> None:
    sent: list[str] = []
    kept: list[Any] = []
    actor = dramatiq.actor(lambda name: sent.append(name), actor_name="plain", broker=events.broker)

    def act(number: int, batch: list[Event[Any]]) -> None:
        events.publish("sum.made", {}, id=f"one-{number}")
        events.publish_many([{"event_type": "sum.made", "payload": {}, "id": f"many-{number}"}])
        events.schedule("sum.due", {}, delay="1h", id=f"due-{number}")
        actor.send(f"call {number}")
        receipt = events.publish_async("sum.made", {}, id=f"async-{number}")
        with pytest.raises(NotCommittedError):
            receipt.result()
        kept.append(events.attempt_context())
        assert not any(_is_stored(events, f"{name}-{number}") for name in ("one", "many", "async"))
        if number == 1:
            raise ValueError("not this time")

    declare(events, kind, Calls(act), batch_size=2, retry_delay="10ms", batch_wait="1m")
    start_worker(events.broker)
    for one in publish(events, 2):
        assert events.wait(one.id).deliveries[0].attempts == 2
    eventually(lambda: sent)
    assert sent == ["call 2"]
    assert [_is_stored(events, f"{name}-2") for name in ("one", "many", "async")] == [True] * 3
    assert not any(_is_stored(events, f"{name}-1") for name in ("one", "many", "async"))
    assert events.get_delayed_event("due-2").type == "sum.due"
    with pytest.raises(NotFoundError):
        events.get_delayed_event("due-1")
    with pytest.raises(AttemptEndedError), kept[-1]:
        events.publish("sum.made", {})


def test_replays_stand_in_a_batch_with_what_is_new_and_end_by_themselves(
    events: EventService, start_worker: Start
) -> None:
    seen: list[list[bool]] = []

    def act(number: int, batch: list[Event[Any]]) -> None:
        seen.append(sorted(event.is_replay for event in batch))
        raise BatchError({event.id: OSError("down") for event in batch if event.is_replay and event.payload["n"] == 1})

    calls = Calls(act)
    declare(events, "function", calls, batch_size=3, batch_wait="1m", max_retries=0)
    worker = start_worker(events.broker)
    fails, succeeds, _ = made = events.publish_many(
        [("click.old", {"n": 1}), ("click.old", {"n": 2}), ("click.made", {"n": 3})]
    )
    for one in made:
        assert events.wait(one.id).status is EventStatus.DELIVERED
    events.replays.replay("clicks", EventFilter(types=("click.old",)))
    eventually(lambda: len(worker._handoff._collecting) == 2)
    new = events.publish("click.made", {"n": 4})
    assert events.wait(new.id).status is EventStatus.DELIVERED
    (letter,) = eventually(lambda: events.dead_letters.list(DeadLetterFilter()).items)
    assert letter.event.id == fails.id
    assert seen == [[False] * 3, [False, True, True]]
    for event, ended in ((fails, DeliveryStatus.DEAD), (succeeds, DeliveryStatus.SUCCEEDED)):
        record = events.get_event(event.id)
        assert record.status is EventStatus.DELIVERED
        assert [one.status for one in record.deliveries] == [DeliveryStatus.SUCCEEDED, ended]


class Reporter(dramatiq.Middleware):
    """Sends a message about every call for many, whatever became of it."""

    def __init__(self) -> None:
        self.send: Callable[[str], object] = lambda said: None

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        if message.actor_name == "clicks":
            self.send(type(exception).__name__)


def test_what_a_hook_adds_after_a_call_goes_out_though_all_of_it_failed(
    redis_url: str, redis_client: Any, start_worker: Start
) -> None:
    heard: list[str] = []
    reporter = Reporter()
    events = EventService(redis_url=redis_url, app="shop", announce=False, middleware=[reporter])
    reporter.send = dramatiq.actor(lambda said: heard.append(said), actor_name="plain", broker=events.broker).send

    def act(number: int, batch: list[Event[Any]]) -> None:
        events.publish("sum.made", {}, id="sum")
        raise OSError("down")

    declare(events, "function", Calls(act), batch_size=2, max_retries=0)
    worker = start_worker(events.broker)
    for one in publish(events, 2):
        assert events.wait(one.id).status is EventStatus.FAILED
    eventually(lambda: heard == ["OSError"])
    assert not _is_stored(events, "sum")
    worker.stop(2_000)
    events.stop()
