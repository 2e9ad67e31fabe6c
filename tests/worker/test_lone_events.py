"""An event that comes alone is dispatched and handled without waking anybody in between."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import redis

from eventsys import Event, EventService, Priority
from eventsys.broker.commit_trip import CommitTrip
from eventsys.broker.lanes import LaneReader
from eventsys.broker.log_reader import LogReader
from eventsys.broker.worker import Worker
from eventsys.errors import RedisUnavailableError
from eventsys.store import link
from eventsys.store.keys import LOG_QUEUE
from tests.support.waiting import eventually

StartWorker = Callable[..., Worker]


def _log_reader(worker: Worker) -> LogReader:
    reader = worker.consumers[LOG_QUEUE]
    assert isinstance(reader, LogReader)
    return reader


def _at_rest(worker: Worker) -> None:
    """Wait until nothing is held or waits for its commit, and what reads the log and the queue waits for more."""
    work = worker.broker.work
    eventually(lambda: not work.in_flight.is_busy and not len(work.committer.backlog) and _waits_for_events(worker))


def _waits_for_events(worker: Worker) -> bool:
    return _waits_for_log(worker) and worker.consumers["shop"].room() > 0


def _waits_for_log(worker: Worker) -> bool:
    log = _log_reader(worker)
    return log.consumer is not None and log.consumer.room() > 0 and _led_by(worker) is not None


def _led_by(worker: Worker) -> int | None:
    return _log_reader(worker)._leader


@pytest.mark.redis62
def test_the_thread_that_dispatches_an_event_handles_it(events: EventService, start_worker: StartWorker) -> None:
    handled: list[tuple[int, int | None]] = []

    @events.on("a.b")
    def handle(event: Event) -> None:
        this = threading.get_ident()
        eventually(lambda: _led_by(worker) not in (None, this))
        handled.append((this, _led_by(worker)))

    worker = start_worker(events.broker)
    for count in range(1, 6):
        _at_rest(worker)
        leader = _led_by(worker)
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

    worker = start_worker(events.broker, worker_threads=2)
    _at_rest(worker)
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
    worker = start_worker(events.broker, worker_threads=1)
    for _ in range(10):
        _at_rest(worker)
        events.publish("a.b", {})
    eventually(lambda: handled == 30)
    assert most == 1


def test_each_subscriber_gets_a_lone_event_once(events: EventService, start_worker: StartWorker) -> None:
    handled: Counter[str] = Counter()
    for number in range(12):
        events.on("a.b", name=f"h{number}")(lambda event, number=number: handled.update([str(number)]))
    worker = start_worker(events.broker, worker_threads=3)
    for _ in range(5):
        _at_rest(worker)
        event = events.publish("a.b", {})
        eventually(lambda event=event: events.get_event(event.id).status == "delivered")
    assert handled == {str(number): 5 for number in range(12)}


@pytest.mark.parametrize("lost", [1, 2])
def test_what_an_answer_told_that_was_lost_is_found(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    handled: list[str] = []
    evaluate, losses = link._evaluate, list[str]()

    def lose(channel: Any, script: Any, arguments: Any) -> Any:
        answer = evaluate(channel, script, arguments)
        brings_deliveries = script.name == "commit" and any(isinstance(one, list) for one in answer)
        if (brings_deliveries or losses) and script.name == "commit" and len(losses) < lost:
            losses.append(script.name)
            error = RedisUnavailableError("the answer was lost")
            error.may_have_run = True
            raise error
        return answer

    @events.on("a.b")
    def handle(event: Event) -> None:
        handled.append(event.id)

    worker = start_worker(events.broker)
    _at_rest(worker)
    monkeypatch.setattr(link, "_evaluate", lose)
    event = events.publish("a.b", {})
    eventually(lambda: handled != [] and len(losses) == lost)
    eventually(lambda: events.get_event(event.id).status == "delivered")
    assert handled == [event.id]


def test_a_worker_that_pauses_and_goes_on_loses_nothing_and_stops(
    events: EventService, start_worker: StartWorker
) -> None:
    handled: Counter[str] = Counter()

    @events.on("a.b")
    def handle(event: Event) -> None:
        handled[event.id] += 1

    worker = start_worker(events.broker, worker_threads=2)
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
    worker = start_worker(events.broker, worker_threads=1)
    _at_rest(worker)
    is_slow.set()
    events.publish_many([("a.b", {"n": 1}), ("a.b", {"n": 2})])
    assert was_given.wait(60)
    work = worker.broker.work
    eventually(lambda: not work.in_flight.is_busy and not len(work.committer.backlog) and _waits_for_log(worker))
    event = events.publish("a.b", {"n": 3})
    eventually(lambda: events.get_event(event.id).deliveries and not work.in_flight.is_busy)
    goes_on.set()
    eventually(lambda: len(handled) == 3)
    assert handled == [1, 2, 3]


class _MeanwhileCommit:
    """Has something happen before, or after, an event is committed whose readers were found to wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, before: Any = None, after: Any = None) -> None:
        self.make, self.before, self.after = CommitTrip.make, before, after
        monkeypatch.setattr(CommitTrip, "make", lambda trip, batch, **others: self._make(trip, batch, **others))

    def _make(self, trip: CommitTrip, batch: Any, **others: Any) -> list[str]:
        is_lone = bool(others.get("wanted"))
        if is_lone and self.before is not None:
            self.before()
        results = self.make(trip, batch, **others)
        if is_lone and self.after is not None:
            self.after()
        return results


def test_what_came_under_a_name_that_ended_since_is_not_begun_under_the_next(
    events: EventService, start_worker: StartWorker, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[str] = []

    @events.on("a.b")
    def handle(event: Event) -> None:
        handled.append(event.id)

    worker = start_worker(events.broker)
    work, reader = worker.broker.work, worker.consumers["shop"]
    _at_rest(worker)
    former = work.presence.name

    def taken_over_by_another() -> None:
        lane = work.keys.lane("shop", Priority.NORMAL)
        entries = [one["message_id"] for one in redis_client.xpending_range(lane, "workers", "-", "+", 10)]
        redis_client.xclaim(lane, "workers", "another", 0, entries, justid=True)
        redis_client.zadd(work.keys.processes, {former: 0})
        work.presence.beat()
        eventually(lambda: reader.consumer is not None and reader.consumer._holder == work.presence.name != former)

    _MeanwhileCommit(monkeypatch, after=taken_over_by_another)
    events.publish("a.b", {})
    eventually(lambda: work.presence.name != former)
    _at_rest(worker)
    assert handled == []


def test_what_was_fetched_for_a_reader_that_ended_since_is_handed_back(
    events: EventService, start_worker: StartWorker, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.on("a.b")(lambda event: None)
    worker = start_worker(events.broker)
    _at_rest(worker)
    stops = threading.Thread(target=worker.stop)

    def stop_reading() -> None:
        stops.start()
        reader = worker.consumers["shop"]
        while reader.is_alive():
            reader.wake()
            reader.join(0.05)

    _MeanwhileCommit(monkeypatch, before=stop_reading)
    events.publish("a.b", {})
    eventually(lambda: not worker.is_running)
    stops.join(60)
    held = redis_client.xpending_range(worker.broker.work.keys.lane("shop", Priority.NORMAL), "workers", "-", "+", 10)
    assert [one["consumer"] for one in held] == [b"returned"]


def test_what_is_passed_on_after_the_lead_was_left_is_handed_back_too(
    events: EventService, start_worker: StartWorker, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        events.on("a.b", name=f"h{number}")(lambda event: None)
    worker = start_worker(events.broker)
    _at_rest(worker)
    put, hand_back, times = worker._handoff.put, worker._hand_back, list[str]()
    stops = threading.Thread(target=worker.stop)

    def late(messages: Any) -> None:
        stops.start()
        eventually(lambda: len(times) == 2)
        put(messages)

    def count() -> None:
        hand_back()
        times.append("handed back")

    monkeypatch.setattr(worker._handoff, "put", late)
    monkeypatch.setattr(worker, "_hand_back", count)
    events.publish("a.b", {})
    eventually(lambda: not worker.is_running)
    stops.join(60)
    held = redis_client.xpending_range(worker.broker.work.keys.lane("shop", Priority.NORMAL), "workers", "-", "+", 10)
    assert {one["consumer"] for one in held} == {b"returned"}  # an idle thread may have begun the first


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_while_it_leads_leaves_the_lead(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[str] = []

    @events.on("a.b")
    def handle(event: Event) -> None:
        handled.append(event.id)

    worker = start_worker(events.broker)
    _at_rest(worker)
    reader = _log_reader(worker)
    consume, died = reader._consume, list[int]()

    def die() -> None:
        if not died:
            died.append(threading.get_ident())
            raise SystemExit
        consume()

    monkeypatch.setattr(reader, "_consume", die)
    worker.pause()
    worker.resume()
    event = events.publish("a.b", {})
    eventually(lambda: handled == [event.id], timeout_s=30)
    assert died
    worker.stop(60_000)
    assert not reader.is_alive()
