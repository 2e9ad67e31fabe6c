"""An event that comes alone is dispatched and handled without waking anybody in between."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventService
from eventsys.broker.lanes import LaneReader
from eventsys.broker.worker import Worker
from tests.support.waiting import eventually
from tests.worker.lone import LONG_WAIT_MS, at_rest, led_by, waits_for_log

StartWorker = Callable[..., Worker]


@pytest.mark.redis62
def test_the_thread_that_dispatches_an_event_handles_it(events: EventService, start_worker: StartWorker) -> None:
    handled: list[tuple[int, int | None]] = []

    @events.on("a.b")
    def handle(event: Event) -> None:
        this = threading.get_ident()
        eventually(lambda: led_by(worker) not in (None, this))
        handled.append((this, led_by(worker)))

    worker = start_worker(events.broker, worker_timeout=LONG_WAIT_MS)
    for count in range(1, 6):
        at_rest(worker)
        leader = led_by(worker)
        events.publish("a.b", {})
        eventually(lambda count=count: len(handled) == count)
        thread, leads_meanwhile = handled[-1]
        assert thread == leader != leads_meanwhile


def test_a_long_handler_holds_up_no_event(events: EventService, start_worker: StartWorker) -> None:
    handled: list[str] = []
    goes_on = threading.Event()

    @events.on("a.long")
    def wait(event: Event) -> None:
        assert goes_on.wait(60)

    @events.on("a.short")
    def handle(event: Event) -> None:
        handled.append(event.id)

    worker = start_worker(events.broker, worker_threads=2, worker_timeout=LONG_WAIT_MS)
    at_rest(worker)
    events.publish("a.long", {})
    eventually(lambda: worker.broker.work.in_flight.held("shop") == 1)
    published = [events.publish("a.short", {}).id for _ in range(20)]
    eventually(lambda: sorted(handled) == sorted(published))
    goes_on.set()


def test_no_more_handlers_run_at_once_than_there_are_threads(events: EventService, start_worker: StartWorker) -> None:
    running, most, handled = 0, 0, 0
    lock = threading.Lock()

    def handle(event: Event) -> None:
        nonlocal running, most, handled
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1
            handled += 1

    for number in range(3):
        events.on("a.b", name=f"h{number}")(handle)
    worker = start_worker(events.broker, worker_threads=1, worker_timeout=LONG_WAIT_MS)
    for _ in range(10):
        at_rest(worker)
        events.publish("a.b", {})
    eventually(lambda: handled == 30)
    assert most == 1


def test_each_subscriber_gets_a_lone_event_once(events: EventService, start_worker: StartWorker) -> None:
    handled: Counter[str] = Counter()
    for number in range(12):
        events.on("a.b", name=f"h{number}")(lambda event, number=number: handled.update([str(number)]))
    worker = start_worker(events.broker, worker_threads=3, worker_timeout=LONG_WAIT_MS)
    for _ in range(5):
        at_rest(worker)
        event = events.publish("a.b", {})
        eventually(lambda event=event: events.get_event(event.id).status == "delivered")
    assert handled == {str(number): 5 for number in range(12)}


def test_a_worker_that_pauses_and_goes_on_loses_nothing_and_stops(
    events: EventService, start_worker: StartWorker
) -> None:
    handled: Counter[str] = Counter()

    @events.on("a.b")
    def handle(event: Event) -> None:
        handled[event.id] += 1

    worker = start_worker(events.broker, worker_threads=2, worker_timeout=LONG_WAIT_MS)
    published = []
    for _ in range(25):
        published.append(events.publish("a.b", {}).id)
        worker.pause()
        published.append(events.publish("a.b", {}).id)
        assert all(part.paused_event.is_set() for part in worker._parts())
        worker.resume()
    eventually(lambda: sum(handled.values()) >= len(published))
    assert handled == Counter(published)
    worker.stop(60_000)
    assert not [part.name for part in worker._parts() if part.is_alive()]


def test_a_lone_event_does_not_overtake_what_a_reader_was_just_given(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[int] = []
    is_slow, was_given, goes_on = (threading.Event() for _ in range(3))
    read_or_wait = LaneReader.read_or_wait

    def slow(reader: LaneReader, room: int, timeout_ms: int) -> Any:
        entries = read_or_wait(reader, room, timeout_ms)
        if entries and is_slow.is_set() and ":shop:" in reader._streams[0]:
            was_given.set()
            assert goes_on.wait(60)
        return entries

    @events.on("a.b")
    def handle(event: Event) -> None:
        handled.append(event.payload["n"])

    monkeypatch.setattr(LaneReader, "read_or_wait", slow)
    worker = start_worker(events.broker, worker_threads=1, worker_timeout=LONG_WAIT_MS)
    at_rest(worker)
    is_slow.set()
    events.publish_many([("a.b", {"n": 1}), ("a.b", {"n": 2})])
    assert was_given.wait(60)
    work = worker.broker.work
    eventually(lambda: not work.in_flight.is_busy and not len(work.committer.backlog) and waits_for_log(worker))
    event = events.publish("a.b", {"n": 3})
    eventually(lambda: events.get_event(event.id).deliveries and not work.in_flight.is_busy)
    goes_on.set()
    eventually(lambda: len(handled) == 3)
    assert handled == [1, 2, 3]
