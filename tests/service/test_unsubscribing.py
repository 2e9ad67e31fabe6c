"""A run-time subscription ends while its handler runs: what runs goes on to its end, everything else is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from eventsys import DeliveryStatus, Event, EventService, EventStatus, NotFoundError, SubscriptionOptions
from eventsys.broker.lease import Lease
from eventsys.store.keys import LOG_QUEUE
from tests.support.services import Services
from tests.support.waiting import eventually


class Held:
    """A handler that publishes, and then stands still until it may go on."""

    def __init__(self, events: EventService) -> None:
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self._events = events

    def handle(self, event: Event) -> None:
        self._events.publish("follow.up", {}, id=f"after-{event.id}")
        self.begun.set()
        self.goes_on.wait(60)


@pytest.fixture
def two(services: Services) -> tuple[EventService, EventService]:
    """A process that subscribes at run time, with one thread, and a worker that dispatches to it."""
    events = services.make(bus={"worker_count": 1})
    # It lives for an hour, and does not say so again after a test said that it is dead.
    events.broker.work.lease = Lease(lease_ms=3_600_000, beat_s=3_600.0)
    worker = services.make(name=events.settings.name)
    services.work(worker, queues={LOG_QUEUE})
    return events, worker


@pytest.fixture
def held(two: tuple[EventService, EventService]) -> Iterator[Held]:
    """The handler of the subscription `mine` to `a.b`, which is started."""
    events, _ = two
    handler = Held(events)
    events.subscribe("a.b", handler, name="mine")
    events.start()
    yield handler
    handler.goes_on.set()


def _status(events: EventService, event: Event) -> DeliveryStatus:
    [delivery] = events.get_event(event.id).deliveries
    return delivery.status


def _is_settled(events: EventService) -> bool:
    events.bus.tending.make_round()
    return events.bus.subscriptions.ended() == {}


@pytest.mark.redis62
def test_what_a_handler_published_before_it_unsubscribed_itself_goes_out(
    two: tuple[EventService, EventService],
) -> None:
    """It waits for one event, answers, and is done: an answer is no worse for being the last."""
    events, worker = two

    def handle(event: Event) -> None:
        events.publish("follow.up", {}, id="answer")
        events.unsubscribe("a.b", "once")

    events.subscribe("a.b", handle, name="once")
    events.start()
    event = worker.publish("a.b", {})
    worker.wait(event.id)
    assert _status(worker, event) is DeliveryStatus.SUCCEEDED
    assert worker.get_event("answer").causation_id == event.id
    eventually(lambda: _is_settled(events))
    assert worker.wait(worker.publish("a.b", {}).id).deliveries == []


@pytest.mark.redis62
def test_what_was_not_begun_is_cancelled_and_what_runs_counts(
    two: tuple[EventService, EventService], held: Held
) -> None:
    worker = two[1]
    first, second = worker.publish("a.b", {}), worker.publish("a.b", {})
    assert held.begun.wait(60)
    eventually(lambda: worker.get_event(second.id).deliveries)
    worker.unsubscribe("a.b", "mine")
    held.goes_on.set()
    statuses = {worker.wait(one.id).status for one in (first, second)}
    assert statuses == {EventStatus.DELIVERED, EventStatus.CANCELLED}
    assert worker.get_event(f"after-{first.id}").causation_id == first.id
    eventually(lambda: _is_settled(worker))


def test_what_fails_after_its_subscription_ended_is_not_tried_again(two: tuple[EventService, EventService]) -> None:
    events, worker = two

    def handle(event: Event) -> None:
        events.unsubscribe("a.b", "once")
        raise RuntimeError("too late for another try")

    events.subscribe("a.b", handle, SubscriptionOptions(retry_delay="1h"), name="once")
    events.start()
    event = worker.publish("a.b", {})

    def is_cancelled() -> bool:
        events.bus.tending.make_round()
        return worker.get_event(event.id).status is EventStatus.CANCELLED

    eventually(is_cancelled)
    eventually(lambda: _is_settled(events))
    assert worker.delayed.get_waiting_retries().total == 0


@pytest.mark.redis62
def test_declared_anew_while_it_runs_it_takes_over_what_runs(
    two: tuple[EventService, EventService], held: Held
) -> None:
    events, worker = two
    seen: list[str] = []
    first = worker.publish("a.b", {})
    assert held.begun.wait(60)
    events.unsubscribe("a.b", "mine")
    events.subscribe("a.b", lambda event: seen.append(event.id), name="mine")
    assert events.bus.subscriptions.ended() == {}
    second = worker.publish("a.b", {})
    held.goes_on.set()
    for one in (first, second):
        worker.wait(one.id)
    assert (_status(worker, first), seen) == (DeliveryStatus.SUCCEEDED, [second.id])


def test_declared_anew_while_a_round_reads_the_set_it_is_hosted_still(
    two: tuple[EventService, EventService], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round found the name in this process, and the set without it: of the moment between."""
    events, worker = two
    seen: list[str] = []
    events.subscribe("a.b", lambda event: None, name="mine")
    events.start()
    tending, subscriptions = events.bus.tending, events.bus.subscriptions
    read = subscriptions.all

    def read_in_between() -> Any:
        monkeypatch.setattr(subscriptions, "all", read)
        events.unsubscribe("a.b", "mine")
        found = read()
        events.subscribe("a.b", lambda event: seen.append(event.id), name="mine")
        return found

    with tending._looking:
        monkeypatch.setattr(subscriptions, "all", read_in_between)
        tending._version = None
        tending.look()
    event = worker.publish("a.b", {})
    assert worker.wait(event.id).status is EventStatus.DELIVERED
    assert seen == [event.id]


def test_declared_anew_with_another_queue_it_cancels_what_runs(
    services: Services, two: tuple[EventService, EventService], held: Held
) -> None:
    """Nobody would look after the queue that it had, should the process die."""
    events, worker = two
    first = worker.publish("a.b", {})
    assert held.begun.wait(60)
    events.unsubscribe("a.b", "mine")
    code = services.make(name=events.settings.name)
    code.on("a.b", name="mine")(lambda event: None)
    code.bus.prepare()
    assert _status(worker, first) is DeliveryStatus.CANCELLED
    held.goes_on.set()
    events.stop()
    with pytest.raises(NotFoundError):
        worker.get_event(f"after-{first.id}")


@pytest.mark.usefixtures("rounds_by_hand")  # one ends what only a dead process hosts
def test_what_a_dead_process_holds_is_cancelled_at_once(two: tuple[EventService, EventService], held: Held) -> None:
    events, worker = two
    event = worker.publish("a.b", {})
    assert held.begun.wait(60)
    events.broker.link.call("ZADD", events.broker.keys.processes, 0, events.broker.presence.name)
    worker.unsubscribe("a.b", "mine")
    assert _status(worker, event) is DeliveryStatus.CANCELLED
    assert worker.bus.subscriptions.ended() == {}


def test_stop_leaves_nothing_open_of_what_was_unsubscribed_before(
    two: tuple[EventService, EventService], held: Held
) -> None:
    events, worker = two
    given = [worker.publish("a.b", {}) for _ in range(5)]
    assert held.begun.wait(60)
    eventually(lambda: all(worker.get_event(one.id).deliveries for one in given))
    events.unsubscribe("a.b", "mine")
    held.goes_on.set()
    events.stop()
    assert worker.bus.subscriptions.ended() == {}
    assert {_status(worker, one) for one in given} == {DeliveryStatus.SUCCEEDED, DeliveryStatus.CANCELLED}
