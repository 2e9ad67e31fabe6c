"""A worker that reads all queues, in a process whose run-time subscriptions come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from eventsys import Event, EventService, EventStatus, SubscriptionConflictError, SubscriptionOptions
from eventsys.broker.lanes import Entry, LaneReader
from eventsys.broker.readers import Reader
from eventsys.broker.worker import Worker, join_waking
from eventsys.bus.settling import own_queue_of
from eventsys.errors import RedisUnavailableError
from eventsys.model.priority import LANES
from eventsys.store.keys import GROUP, LOG_QUEUE
from tests.support.services import Services
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


def test_a_handler_that_stops_its_process_is_not_waited_for(events: EventService, start_worker: Start) -> None:
    """It waited for its own end, ten minutes for each subscription of the process."""
    start_worker(events.broker)
    has_stopped = threading.Event()

    def handle(event: Event) -> None:
        events.stop()
        has_stopped.set()

    events.subscribe("a.b", handle, name="mine")
    events.publish("a.b", {})
    assert has_stopped.wait(60)


def test_a_handler_in_threads_of_its_own_may_stop_its_process_too(
    events: EventService, services: Services, start_worker: Start
) -> None:
    """Its worker was to join the thread that it ran in, and what else is done at the end was not."""
    dispatching = services.make(name=events.settings.name)
    start_worker(dispatching.broker, queues={LOG_QUEUE})
    ends: list[str] = []

    def handle(event: Event) -> None:
        events.stop()
        ends.append("stopped")

    events.subscribe("a.b", handle, name="mine")
    events.subscribe("a.c", _handle, name="another")
    events.start()
    dispatching.publish("a.b", {})
    eventually(lambda: ends == ["stopped"])
    eventually(lambda: not events.broker.has_workers)
    assert not dispatching.bus.subscriptions.all()[1]


def test_a_process_that_ends_waits_for_no_redis_to_leave_a_queue(
    events: EventService, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_worker(events.broker)
    events.subscribe("a.b", _handle, name="mine")
    tried = threading.Event()

    def is_away(*_: object) -> None:
        tried.set()
        raise RedisUnavailableError("away")

    monkeypatch.setattr("eventsys.broker.leaving._give_back_unknown", is_away)
    events.unsubscribe("a.b", "mine")
    assert tried.wait(60)
    stopping = threading.Thread(target=events.bus._at_run_time.stop)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()


def test_a_queue_that_is_not_its_own_is_read_on(events: EventService, start_worker: Start) -> None:
    """What an unsubscribed handler has there is ended as the worker comes to it, and nobody else would."""
    worker = start_worker(events.broker)
    begun, go_on = threading.Event(), threading.Event()

    def handle(event: Event) -> None:
        begun.set()
        assert go_on.wait(60)

    events.subscribe("a.b", handle, SubscriptionOptions(queue="named", concurrency=1), name="mine")
    made = [events.publish("a.b", {}) for _ in range(3)]
    assert begun.wait(60)
    events.unsubscribe("a.b", "mine")
    go_on.set()
    for one in made:
        assert events.wait(one.id).status in {EventStatus.DELIVERED, EventStatus.CANCELLED}
    assert "named" in worker.consumers


def test_what_is_not_subscribed_is_not_read(events: EventService, services: Services, start_worker: Start) -> None:
    """The queue may be another process's, and what this one fetched there it refused."""
    worker, other = start_worker(events.broker), services.make(name=events.settings.name)
    other.subscribe("a.c", _handle, name="mine")
    before = set(worker.consumers)
    with pytest.raises(SubscriptionConflictError):
        events.subscribe("a.b", _handle, name="mine")
    eventually(lambda: set(worker.consumers) == before and not events.broker.presence.reads(QUEUE))
    assert QUEUE not in events.broker.queues
    other.start()
    assert other.wait(other.publish("a.c", {}).id).status is EventStatus.DELIVERED


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


def test_what_came_as_its_wait_was_broken_is_left_to_others(
    events: EventService, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is to end is woken that way, and nothing would have looked for it under a name that lives."""
    worker = start_worker(events.broker)
    keys, read, was_lost = events.broker.keys, LaneReader.read_or_wait, threading.Event()
    lane = keys.lane(QUEUE, 5)

    def read_and_lose(self: LaneReader, room: int, timeout_ms: int) -> list[Entry]:
        entries = read(self, room, timeout_ms)
        if entries and lane in self._streams:
            worker.consumers[QUEUE].stop()
            worker.consumers[QUEUE].wake()
            was_lost.set()
        return entries

    monkeypatch.setattr(LaneReader, "read_or_wait", read_and_lose)
    events.subscribe("a.b", _handle, name="mine")
    reader = worker.consumers[QUEUE]
    monkeypatch.setattr(reader, "room", lambda: 0)  # so that it is not fetched for the reader with the dispatch
    eventually(lambda: reader.consumer is not None and reader.consumer.patience.is_on)
    event = events.publish("a.b", {})
    assert was_lost.wait(60)
    reader.join(60)
    assert events.broker.link.call("XPENDING", lane, GROUP)[0] == 1
    events.unsubscribe("a.b", "mine")
    assert events.wait(event.id).status is EventStatus.CANCELLED
    eventually(lambda: _is_left(events))


def test_what_was_lost_while_the_queue_was_read_anew_is_found(
    events: EventService, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new reader had looked for it before."""
    worker = start_worker(events.broker)
    call, read, lane = events.broker.link.call, LaneReader.read_or_wait, events.broker.keys.lane(QUEUE, 5)
    first_waits, second_waits, is_there, is_lost = (threading.Event() for _ in range(4))

    def read_or_lose(self: LaneReader, room: int, timeout_ms: int) -> list[Entry]:
        if lane not in self._streams:
            return read(self, room, timeout_ms)
        if not first_waits.is_set():
            first_waits.set()
            is_there.wait(60)
            call("XREADGROUP", "GROUP", GROUP, self.process, "STREAMS", lane, ">")
            is_lost.set()
            raise RedisUnavailableError("the connection broke")
        second_waits.set()
        is_lost.wait(60)
        return read(self, room, timeout_ms)

    monkeypatch.setattr(LaneReader, "read_or_wait", read_or_lose)
    monkeypatch.setattr(Reader, "room", lambda _: 0)  # nothing is fetched for a reader with the dispatch
    events.subscribe("a.b", _handle, name="mine")
    assert first_waits.wait(60)
    events.unsubscribe("a.b", "mine")
    eventually(lambda: QUEUE not in worker.consumers)
    events.subscribe("a.b", _handle, name="mine")
    assert second_waits.wait(60)
    event = events.publish("a.b", {})
    eventually(lambda: call("XLEN", lane) == 1)
    is_there.set()
    assert events.wait(event.id).status is EventStatus.DELIVERED


@pytest.mark.redis62
def test_a_dispatch_that_fetches_for_a_reader_is_waited_for(events: EventService, start_worker: Start) -> None:
    """What it was given with an answer that was lost is looked for after that."""
    start_worker(events.broker)
    events.subscribe("a.b", _handle, name="mine")
    with events.broker.work.in_flight.watch():
        events.unsubscribe("a.b", "mine")
        [leaving] = events.bus._at_run_time._ending
        leaving.join(0.2)
        assert leaving.is_alive()
        assert events.broker.presence.reads(QUEUE)
    leaving.join(60)
    assert not leaving.is_alive()
    eventually(lambda: _is_left(events))


def test_it_says_so_after_what_is_over_was_committed(
    events: EventService, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round that follows settles what ended; another one comes half a minute later."""
    start_worker(events.broker)
    events.subscribe("a.b", _handle, name="mine")
    committer, presence, done = events.broker.work.committer, events.broker.presence, list[str]()
    join, leave = committer.join, presence.leave_queue

    def join_noted(timeout_s: float | None = None) -> bool:
        done.append("committed")
        return join(timeout_s)

    def leave_noted(queue: str, subscription: str) -> None:
        done.append("left")
        leave(queue, subscription)

    monkeypatch.setattr(committer, "join", join_noted)
    monkeypatch.setattr(presence, "leave_queue", leave_noted)
    events.unsubscribe("a.b", "mine")
    eventually(lambda: _is_left(events))
    assert done == ["committed", "left"]
