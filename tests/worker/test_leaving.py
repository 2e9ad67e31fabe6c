"""A worker that reads all queues, in a process whose run-time subscriptions come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from eventsys import Event, EventService, EventStatus
from eventsys.broker.worker import Worker, join_waking
from eventsys.bus.settling import own_queue_of
from eventsys.model.priority import LANES
from tests.support.waiting import eventually

Start = Callable[..., Worker]

QUEUE = own_queue_of("mine")


def _handle(event: Event) -> None:
    """Do nothing."""


def _is_left(events: EventService) -> bool:
    """Say whether neither Redis nor this process knows of the queue any more."""
    link, keys = events.broker.link, events.broker.keys
    lanes = [keys.lane(QUEUE, lane) for lane in LANES]
    is_in_redis = link.call("EXISTS", *lanes) or link.call("SISMEMBER", keys.queues, QUEUE)
    return not is_in_redis and QUEUE not in events.broker.queues and not events.broker.presence.reads(QUEUE)


@pytest.mark.parametrize("is_started", [False, True])
def test_it_leaves_their_queues_and_reads_those_that_come_again(
    events: EventService, start_worker: Start, is_started: bool
) -> None:
    """A thread and a connection for each name were left behind."""
    worker = start_worker(events.broker)
    if is_started:
        events.start()
    before = set(worker.consumers)
    for _ in range(3):
        events.subscribe("a.b", _handle, name="mine")
        assert events.wait(events.publish("a.b", {}).id).status is EventStatus.DELIVERED
        assert set(worker.consumers) == {*before, QUEUE}
        events.unsubscribe("a.b", "mine")
        eventually(lambda: _is_left(events))
        assert set(worker.consumers) == before


def test_what_comes_again_at_once_is_handled(events: EventService, start_worker: Start) -> None:
    start_worker(events.broker)
    for _ in range(10):
        events.subscribe("a.b", _handle, name="mine")
        assert events.wait(events.publish("a.b", {}).id).status is EventStatus.DELIVERED
        events.unsubscribe("a.b", "mine")
    eventually(lambda: _is_left(events))


def test_a_queue_is_left_when_what_runs_of_it_is_over(events: EventService, start_worker: Start) -> None:
    """It unsubscribes itself, so it is the handler that is waited for."""
    worker = start_worker(events.broker)
    goes_on = threading.Event()

    def handle(event: Event) -> None:
        events.unsubscribe("a.b", "mine")
        goes_on.wait(60)

    events.subscribe("a.b", handle, name="mine")
    event = events.publish("a.b", {})
    eventually(lambda: QUEUE not in worker.consumers)
    assert events.broker.presence.reads(QUEUE)  # so that others see who holds something there
    goes_on.set()
    assert events.wait(event.id).status is EventStatus.DELIVERED
    eventually(lambda: _is_left(events))


def test_a_pause_waits_for_no_reader_that_has_left(
    events: EventService, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start_worker(events.broker)
    events.subscribe("a.b", _handle, name="mine")
    parts = worker._parts()
    join_waking(worker.leave(QUEUE), time.monotonic() + 60)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(worker, "_parts", lambda: parts)  # as when it leaves a moment later
        pausing = threading.Thread(target=worker.pause)
        pausing.start()
        pausing.join(60)
    assert not pausing.is_alive()
    worker.resume()
