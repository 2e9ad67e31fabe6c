"""What becomes of messages that were fetched for fast handlers which are slow by now."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dramatiq
import pytest

from eventsys import EventService
from eventsys.broker.excess import split_last
from eventsys.broker.handoff import Handoff
from eventsys.broker.prefetch import Prefetch
from eventsys.broker.worker import Worker
from eventsys.store.keys import RETURNED
from tests.support.waiting import eventually

StartWorker = Callable[..., Worker]


@pytest.fixture
def fast_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each process hold fifty messages, as if its handlers had been fast, until they have stalled."""
    excess, stalled = Prefetch.excess, set[Prefetch]()

    def note_stall(self: Prefetch, held: int) -> int:
        if found := excess(self, held):
            stalled.add(self)
        return found

    monkeypatch.setattr(Prefetch, "excess", note_stall)
    monkeypatch.setattr(Prefetch, "limit", lambda self, _: self.threads if self in stalled else 50)


def _shares(events: EventService, queue: str) -> tuple[int, bool]:
    """Return how many messages of a queue this process holds, and whether it has handed back some."""
    held = events.broker.link.call("XPENDING", events.broker.keys.lane(queue, 5), "workers")[3] or []
    counts = {holder.decode(): int(count) for holder, count in held}
    return counts.get(events.broker.presence.name, 0), RETURNED in counts


@pytest.mark.usefixtures("fast_at_first")
def test_what_stalled_handlers_were_to_begin_is_for_others(events: EventService, start_worker: StartWorker) -> None:
    goes_on, begun = threading.Event(), list[int]()

    @dramatiq.actor
    def stall(number: int) -> None:
        begun.append(number)
        goes_on.wait(60)

    for number in range(30):
        stall.send(number)
    start_worker(events.broker, worker_threads=2)
    eventually(lambda: len(begun) == 2 and _shares(events, "default") == (2, True))
    goes_on.set()
    events.broker.join("default", timeout=60_000)
    assert sorted(begun) == list(range(30))


@pytest.mark.usefixtures("fast_at_first")
def test_what_stalled_coroutines_were_to_begin_is_for_others(events: EventService, start_worker: StartWorker) -> None:
    goes_on, begun = threading.Event(), list[str]()

    @events.on("order.placed", name="stall", queue="orders")
    async def stall(event: Any) -> None:
        begun.append(event.id)
        await asyncio.to_thread(goes_on.wait, 60)

    published = [events.publish("order.placed", {}) for _ in range(30)]
    start_worker(events.broker, worker_threads=1, async_concurrency=2)
    eventually(lambda: len(begun) == 2 and _shares(events, "orders") == (3, True))  # one more for the thread
    goes_on.set()
    for event in published:
        events.wait(event.id, "60s")
    assert sorted(begun) == sorted(event.id for event in published)


def test_handlers_stall_when_there_was_no_room_for_a_second() -> None:
    prefetch = Prefetch(4)
    for _ in range(9):
        prefetch.waited(0.1, found_room=False)
    assert prefetch.excess(40) == 0
    prefetch.waited(0.1, found_room=True)
    prefetch.waited(0.9, found_room=False)
    assert prefetch.excess(40) == 0
    prefetch.waited(0.1, found_room=False)
    assert (prefetch.excess(40), prefetch.excess(4), prefetch.limit(0)) == (36, 0, 4)


def _message(number: int, queue: str = "slow", count: int = 1) -> Any:
    return SimpleNamespace(number=number, queue_name=queue, places=[None] * count, actor=None)


def test_the_last_of_a_queue_are_given_up_and_all_others_stay_in_order() -> None:
    messages = [_message(0), _message(1, "other"), _message(2), _message(3, count=2), _message(4), _message(5, "other")]
    last, others = split_last(messages, "slow", 2)
    assert [[one.number for one in some] for some in (last, others)] == [[2, 4], [0, 1, 3, 5]]


def test_what_is_in_the_hand_of_a_thread_is_given_up_too() -> None:
    handoff = Handoff(2)
    hand = handoff.new_hand()
    handoff.put([_message(number) for number in range(40)])
    handoff.fill(hand, 0)
    assert [one.number for one in handoff.take_last("slow", 37)] == list(range(3, 40))
    handoff.fill(hand, 0)
    assert [one.number for one in hand] == [0, 1, 2]
