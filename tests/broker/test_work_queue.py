"""How Dramatiq's own worker hands messages to its threads on this broker."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, PriorityQueue
from types import SimpleNamespace
from typing import Any

import dramatiq
import pytest
from dramatiq import Worker

from eventsys.broker.broker import EventBroker
from eventsys.broker.handoff import Handoff
from eventsys.broker.work_queue import WorkQueue, hand_out_by_turns
from tests.support.waiting import eventually

Start = Callable[..., Worker]


def item(number: int, priority: int = 0) -> Any:
    return SimpleNamespace(message=SimpleNamespace(number=number, actor=SimpleNamespace(priority=priority)))


def taken(queue: WorkQueue, count: int, **how: Any) -> list[int]:
    return [queue.get(**how).message.number for _ in range(count)]  # type: ignore[attr-defined]


def test_one_thread_gets_messages_in_their_order_and_those_of_a_smaller_priority_first() -> None:
    queue = WorkQueue(8)
    for number, priority in enumerate([5, 0, 5, 0]):
        queue.put(item(number, priority))
    assert queue.qsize() == 4
    assert taken(queue, 4, timeout=0) == [1, 3, 0, 2]
    with pytest.raises(Empty):
        queue.get(timeout=0)


def test_what_threads_hold_and_have_not_begun_is_there_for_whoever_empties_it() -> None:
    queue = WorkQueue(2)
    for number in range(6):
        queue.put(item(number))
    assert taken(queue, 1, timeout=0) == [0]
    assert sorted(taken(queue, 5, block=False)) == [1, 2, 3, 4, 5]
    with pytest.raises(Empty):
        queue.get_nowait()
    assert queue.empty()


def test_join_waits_until_all_is_done() -> None:
    queue = WorkQueue(2)
    queue.put(item(0))
    joined = threading.Thread(target=queue.join, daemon=True)
    joined.start()
    assert queue.get().message.number == 0  # type: ignore[attr-defined]
    assert joined.is_alive()
    queue.task_done()
    joined.join(60)
    assert not joined.is_alive()


def test_a_message_that_another_thread_takes_at_the_last_moment_ends_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class RobbedOnce(deque[Any]):
        is_robbed = False

        def popleft(self) -> Any:
            if self and not self.is_robbed:
                self.is_robbed = True
                self.clear()
            return super().popleft()

    monkeypatch.setattr(Handoff, "new_hand", lambda self: RobbedOnce())
    queue = WorkQueue(2)
    queue.put(item(0, priority=0))
    queue.put(item(1, priority=1))
    assert taken(queue, 1, timeout=30) == [1]


def test_a_worker_with_another_queue_keeps_it() -> None:
    for queue in (WorkQueue(1), type("Own", (PriorityQueue,), {})(), None):
        worker = SimpleNamespace(work_queue=queue, worker_threads=8)
        hand_out_by_turns(worker)
        assert worker.work_queue is queue
    hand_out_by_turns(object())


def test_a_thread_that_stands_still_keeps_nothing_from_the_others() -> None:
    queue = WorkQueue(2)
    for number in range(9):
        queue.put(item(number))
    assert taken(queue, 1, timeout=0) == [0]
    stolen: list[int] = []
    other = threading.Thread(target=lambda: stolen.extend(taken(queue, 4, timeout=30)))
    other.start()
    other.join(30)
    assert stolen == [5, 6, 7, 8]


def test_dramatiqs_worker_takes_its_messages_from_here(broker: EventBroker, start_worker: Start) -> None:
    done: list[int] = []
    quick = dramatiq.actor(done.append, actor_name="quick", broker=broker)
    for number in range(500):
        quick.send(number)
    worker = start_worker(broker)
    assert type(worker.work_queue) is WorkQueue
    broker.join("default", timeout=60_000)
    assert sorted(done) == list(range(500))


def test_dramatiqs_worker_has_all_its_threads_at_handlers_that_wait(broker: EventBroker, start_worker: Start) -> None:
    together = threading.Barrier(8)

    @dramatiq.actor(broker=broker, max_retries=0)
    def wait() -> None:
        together.wait(30)

    for _ in range(16):
        wait.send()
    start_worker(broker)
    broker.join("default", timeout=60_000)
    assert not together.broken


def test_dramatiqs_worker_hands_back_what_its_threads_have_not_begun(broker: EventBroker, start_worker: Start) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    done: list[int] = []

    @dramatiq.actor(broker=broker)
    def hold(number: int) -> None:
        begun.release()
        go_on.wait(60)
        done.append(number)

    for number in range(40):
        hold.send(number)
    worker = start_worker(broker, threads=2)
    assert begun.acquire(timeout=30)
    assert begun.acquire(timeout=30)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    eventually(lambda: not any(thread.running for thread in worker.workers))
    go_on.set()
    stopping.join(30)
    assert not stopping.is_alive()
    assert len(done) < 40
    start_worker(broker, threads=2)
    broker.join("default", timeout=60_000)
    assert sorted(done) == list(range(40))


def test_all_threads_work_where_as_many_messages_are_to_be_fetched(
    broker: EventBroker, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `dramatiq_queue_prefetch=4`, of which two for each thread would be two threads."""
    monkeypatch.setattr(dramatiq.worker, "QUEUE_PREFETCH", 4)
    together = threading.Barrier(4)

    @dramatiq.actor(max_retries=0)
    def wait() -> None:
        together.wait(20)

    for _ in range(4):
        wait.send()
    start_worker(broker, threads=4)
    broker.join("default", timeout=60_000)
    assert not together.broken


def test_each_worker_fetches_for_its_own_threads(broker: EventBroker, start_worker: Start) -> None:
    """As where `events.start()` in a handler boots another one, for what was subscribed at run time."""
    workers = [start_worker(broker, threads=threads) for threads in (2, 8)]
    bounds = [broker.consume("default", prefetch=one.queue_prefetch)._prefetch.threads for one in workers]
    assert bounds == [2, 8]
