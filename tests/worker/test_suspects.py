"""How a worker begins messages that a dead process had begun, and those that waited for an actor."""

from __future__ import annotations

import threading
from collections.abc import Callable

import dramatiq
import pytest
from dramatiq import Message

from eventsys import EventService
from eventsys.broker.loop_runner import LoopRunner
from eventsys.broker.messages import Place, PlainMessage
from eventsys.broker.worker import Worker
from eventsys.store.keys import GROUP, SUSPECTS
from tests.support.waiting import eventually

StartWorker = Callable[..., Worker]


def _suspect(events: EventService, queue: str) -> None:
    """Make suspects of all that waits in a queue."""
    lane = events.broker.keys.lane(queue, 5)
    events.broker.link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    events.broker.link.call("XREADGROUP", "GROUP", GROUP, SUSPECTS, "COUNT", 100, "STREAMS", lane, ">")


def test_a_suspect_begins_at_once_though_every_thread_is_busy(events: EventService, start_worker: StartWorker) -> None:
    """While it waited, the process might be killed for the next time, and suspects would grow in number."""
    is_over, began, handled = threading.Event(), threading.Semaphore(0), list[int]()

    @dramatiq.actor
    def hold() -> None:
        began.release()
        is_over.wait(60)

    for _ in range(3):
        hold.send()
    for number in range(5):
        events.broker.enqueue(Message(queue_name="late", actor_name="note", args=(number,), kwargs={}, options={}))
    _suspect(events, "late")
    worker = start_worker(events.broker, worker_threads=1)
    assert began.acquire(timeout=60)

    @dramatiq.actor(queue_name="late")
    def note(number: int) -> None:
        handled.append(number)

    eventually(lambda: handled == list(range(5)))
    is_over.set()
    events.broker.join("default", timeout=60_000)
    worker.stop(60_000)
    assert not [part.name for part in worker.workers if part.is_alive()]


@pytest.mark.parametrize("comes", ["while all are told", "afterwards"])
def test_a_suspect_that_comes_while_a_worker_is_paused_waits_and_holds_nobody_up(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, comes: str
) -> None:
    """It has a thread of its own, that begins with the first of them."""
    handled: list[int] = []

    @dramatiq.actor(queue_name="late")
    def note() -> None:
        handled.append(1)

    worker = start_worker(events.broker, queues=set())
    place = Place("late", 5, events.broker.keys.lane("late", 5), "1-0", events.broker.presence.name, is_suspect=True)
    suspect = PlainMessage(place, actor_name="note", args=(), options={}, message_id="m")
    suspect.actor = note
    wake = worker._handoff.wake
    if comes == "while all are told":
        monkeypatch.setattr(worker._handoff, "wake", lambda: (worker._deliver([suspect]), wake()))
    pausing = threading.Thread(target=worker.pause, daemon=True)
    pausing.start()
    pausing.join(30)
    assert not pausing.is_alive()
    if comes == "afterwards":
        worker._deliver([suspect])
    aside = worker.workers[-1]
    assert aside.paused_event.wait(30)
    assert handled == []
    monkeypatch.undo()
    worker.resume()
    eventually(lambda: handled == [1])


def test_a_suspected_coroutine_begins_before_those_that_wait(events: EventService) -> None:
    first, second, suspect = (
        PlainMessage(Place("late", 5, "lane", f"{number}-0", "me"), actor_name="a", args=(), options={}, message_id="m")
        for number in range(3)
    )
    runner = LoopRunner(events.broker, 1, lambda _: None)
    runner.paused = True
    runner.put([first, second])
    runner.put_first(suspect)
    assert runner.take_back() == [suspect, first, second]
    assert runner.stop(10.0)


def test_an_actor_that_is_declared_late_is_known_before_its_queue_is_read(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, known = start_worker(events.broker), list[bool]()
    monkeypatch.setattr(worker, "read", lambda _: known.append("late" in events.broker.actors))

    @dramatiq.actor(actor_name="late", queue_name="late")
    def late() -> None:
        pass

    assert known == [True]
