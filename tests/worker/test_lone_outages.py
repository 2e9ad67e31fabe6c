"""What a reader, its Redis or its thread loses while a lone event is dispatched is found, and begun once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import redis

from eventsys import Event, EventService, Priority
from eventsys.broker.commit_trip import CommitTrip
from eventsys.broker.presence import Presence
from eventsys.broker.readers import Reader
from eventsys.broker.work import Work
from eventsys.broker.worker import Worker
from eventsys.errors import RedisUnavailableError
from eventsys.store import link
from tests.support.waiting import eventually
from tests.worker.lone import LONG_WAIT_MS, at_rest, log_reader

StartWorker = Callable[..., Worker]


@pytest.mark.parametrize("fails", ["to be handed back", "to be handed out"])
def test_what_was_fetched_for_a_reader_and_cannot_go_on_is_found(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """The queue is paused in that moment, and Redis goes; or handing out the first of several lanes fails."""
    handled: Counter[str] = Counter()
    for number, queue in enumerate(("shop", "other")):
        events.on("a.b", name=f"h{number}", queue=queue)(lambda event, queue=queue: handled.update([queue]))
    worker = start_worker(events.broker, worker_timeout=LONG_WAIT_MS)
    at_rest(worker)
    take_over, struck = Reader.take_over, []

    def gone(*_: Any) -> None:
        raise RedisUnavailableError("gone just now")

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    def strike(self: Reader, fetched: Any, holder: str, over: Any, deliver: Any) -> None:
        if struck:
            return take_over(self, fetched, holder, over, deliver)
        struck.append(self)
        if fails == "to be handed out":
            return take_over(self, fetched, holder, over, broken)
        with monkeypatch.context() as patched:
            patched.setattr(Presence, "is_paused", lambda *_: True)
            patched.setattr(Work, "give_back", gone)
            return take_over(self, fetched, holder, over, deliver)

    monkeypatch.setattr(Reader, "take_over", strike)
    events.publish("a.b", {})
    # The one whose handing out failed may be with a thread already: it counts as held until this process ends.
    wanted = {"other": 1} if fails == "to be handed out" else {"shop": 1, "other": 1}
    eventually(lambda: all(handled[queue] == many for queue, many in wanted.items()))
    assert struck


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

    worker = start_worker(events.broker, worker_timeout=LONG_WAIT_MS)
    at_rest(worker)
    monkeypatch.setattr(link, "_evaluate", lose)
    event = events.publish("a.b", {})
    eventually(lambda: handled != [] and len(losses) == lost)
    eventually(lambda: events.get_event(event.id).status == "delivered")
    assert handled == [event.id]


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

    worker = start_worker(events.broker, worker_timeout=LONG_WAIT_MS)
    work, reader = worker.broker.work, worker.consumers["shop"]
    at_rest(worker)
    former = work.presence.name

    def taken_over_by_another() -> None:
        lane = work.keys.lane("shop", Priority.NORMAL)
        entries = [one["message_id"] for one in redis_client.xpending_range(lane, "workers", "-", "+", 10)]
        redis_client.xclaim(lane, "workers", "another", 0, entries, justid=True)
        redis_client.zadd(work.keys.processes, {former: 0, "another": 2**50})  # else a scan takes it for dead
        work.presence.beat()
        eventually(lambda: reader.consumer is not None and reader.consumer._holder == work.presence.name != former)

    _MeanwhileCommit(monkeypatch, after=taken_over_by_another)
    events.publish("a.b", {})
    eventually(lambda: work.presence.name != former)
    at_rest(worker)
    assert handled == []


def test_what_was_fetched_for_a_reader_that_ended_since_is_handed_back(
    events: EventService, start_worker: StartWorker, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.on("a.b")(lambda event: None)
    worker = start_worker(events.broker, worker_timeout=LONG_WAIT_MS)
    at_rest(worker)
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
    worker = start_worker(events.broker, worker_timeout=LONG_WAIT_MS)
    at_rest(worker)
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

    worker = start_worker(events.broker, worker_timeout=LONG_WAIT_MS)
    at_rest(worker)
    reader = log_reader(worker)
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
