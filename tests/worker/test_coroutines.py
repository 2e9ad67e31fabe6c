"""What a worker does with coroutine handlers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Middleware
from dramatiq.middleware.time_limit import TimeLimitExceeded

from eventsys import Event, EventService
from eventsys.broker import hard_limits
from eventsys.broker.hard_limits import HardLimits
from eventsys.broker.worker import Worker
from tests.support.waiting import eventually
from tests.worker.test_worker import Latch

StartWorker = Callable[..., Worker]


async def a_while(seconds: float) -> None:
    """Await something that does not come, as a handler awaits a slow service."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


def test_a_hundred_handlers_that_await_run_at_once(events: EventService, start_worker: StartWorker) -> None:
    latch, running, all_run = Latch(), 0, asyncio.Event()

    @events.on("tick", name="waits")
    async def handle(event: Event) -> None:
        nonlocal running
        running += 1
        if running == 100:
            all_run.set()
        await all_run.wait()
        latch.note()

    events.publish_many([{"event_type": "tick", "payload": {}} for _ in range(100)])
    start_worker(events.broker)
    assert latch.wait(100)


def test_no_more_than_the_given_number_run_at_once(events: EventService, start_worker: StartWorker) -> None:
    running, most, are_five = 0, 0, asyncio.Event()

    @events.on("tick", name="counts")
    async def handle(event: Event) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 5:
            are_five.set()
        await are_five.wait()
        await a_while(0.01)
        running -= 1

    events.publish_many([{"event_type": "tick", "payload": {}} for _ in range(30)])
    start_worker(events.broker, async_concurrency=5)
    eventually(lambda: events.get_metrics().delivered_events == 30)
    assert most == 5


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_coroutine_publishes_commits_with_its_success(
    events: EventService, start_worker: StartWorker, fails: bool
) -> None:
    @events.on("order.placed", name="publishes", max_retries=0)
    async def handle(event: Event) -> None:
        await a_while(0.001)
        await events.apublish("order.counted", id=f"follows-{fails}")
        if fails:
            raise ValueError("no")

    placed = events.publish("order.placed")
    start_worker(events.broker)
    assert events.wait(placed.id, "60s").status == ("failed" if fails else "delivered")
    assert (events.store.status_of(f"follows-{fails}") is None) == fails


def test_a_coroutine_is_cancelled_at_its_limit_and_its_attempt_failed(
    events: EventService, start_worker: StartWorker
) -> None:
    latch = Latch()

    @events.on("tick", name="too-long", timeout="50ms", max_retries=0)
    async def handle(event: Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            latch.note("cancelled")
            raise

    tick = events.publish("tick")
    start_worker(events.broker)
    [delivery] = events.wait(tick.id, "60s").deliveries
    assert latch.seen == ["cancelled"]
    assert "TimeLimitExceeded" in str(delivery)


def test_a_timeout_inside_a_coroutine_is_an_error_like_any_other(
    events: EventService, start_worker: StartWorker
) -> None:
    @events.on("tick", name="its-own-timeout", timeout="5s", max_retries=0)
    async def handle(event: Event) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    tick = events.publish("tick")
    start_worker(events.broker)
    [delivery] = events.wait(tick.id, "60s").deliveries
    assert "TimeLimitExceeded" not in str(delivery)


def test_hooks_run_beside_the_loop_and_in_the_context_of_the_handler(
    events: EventService, start_worker: StartWorker
) -> None:
    mark: ContextVar[str] = ContextVar("mark")
    seen: dict[str, Any] = {}

    class Marker(Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            if message.actor_name == "marked":
                mark.set("set by the hook")
                seen["before"] = threading.get_ident()

        def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
            if message.actor_name == "marked":
                seen["mark after"] = mark.get()
                seen["after"] = threading.get_ident()

    events.broker.add_middleware(Marker())

    @events.on("tick", name="marked")
    async def handle(event: Event) -> None:
        seen["mark"] = mark.get(None)
        seen["handler"] = threading.get_ident()
        mark.set("set by the handler")

    tick = events.publish("tick")
    start_worker(events.broker)
    events.wait(tick.id, "60s")
    assert (seen["mark"], seen["mark after"]) == ("set by the hook", "set by the handler")
    assert seen["handler"] not in (seen["before"], seen["after"])


def test_plain_coroutine_actors_share_the_loop(events: EventService, start_worker: StartWorker) -> None:
    loops, latch = [], Latch()

    @dramatiq.actor
    async def plain() -> None:
        loops.append(asyncio.get_running_loop())
        latch.note()

    @events.on("tick", name="on-the-loop")
    async def handle(event: Event) -> None:
        loops.append(asyncio.get_running_loop())
        latch.note()

    plain.send()
    events.publish("tick")
    start_worker(events.broker)
    assert latch.wait(2)
    assert loops[0] is loops[1]


def test_stopping_waits_for_running_coroutines(events: EventService, start_worker: StartWorker) -> None:
    began, ended = threading.Event(), threading.Event()

    @events.on("tick", name="takes-a-while")
    async def handle(event: Event) -> None:
        began.set()
        await a_while(0.2)
        ended.set()

    events.publish("tick")
    worker = start_worker(events.broker)
    assert began.wait(60)
    worker.stop(60_000)
    assert ended.is_set()


def test_a_coroutine_that_goes_on_after_its_limit_and_the_grace_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard_limits, "GRACE_S", 0.05)
    found = Latch()
    published: list[tuple[int, float]] = []
    limits = HardLimits(lambda message, error: found.note((message, type(error))))
    limits.publish = lambda who, at: published.append((who, at))
    in_time, stuck = object(), object()
    limits.enter(in_time, 1_000)  # type: ignore[arg-type]
    limits.enter(stuck, 1_010)  # type: ignore[arg-type]
    limits.leave(in_time)  # type: ignore[arg-type]
    assert found.wait(1)
    assert found.seen == [(stuck, TimeLimitExceeded)]
    assert limits.next() == float("inf")
    assert published[-1][1] > published[0][1]


@pytest.mark.parametrize("hooks_block", [False, True], ids=["hooks that do not block", "hooks that may block"])
@pytest.mark.parametrize("everybody", [False, True], ids=["itself", "all tasks"])
def test_a_handler_that_cancels_tasks_ends_like_any_other(
    events: EventService, start_worker: StartWorker, hooks_block: bool, everybody: bool
) -> None:
    class Hook(Middleware):
        """One that a worker must take for one that waits for something."""

        def after_process_message(self, broker: Any, message: Any, **_: Any) -> None: ...

    if hooks_block:
        events.broker.add_middleware(Hook())

    @events.on("tick", name="cancels", max_retries=0)
    async def handle(event: Event) -> None:
        for task in asyncio.all_tasks() if everybody else {asyncio.current_task()}:
            assert task is not None
            task.cancel()

    @events.on("tock", name="follows")
    async def follow(event: Event) -> None: ...

    tick = events.publish("tick")
    start_worker(events.broker)
    [delivery] = events.wait(tick.id, "60s").deliveries
    assert "CancelledError" in str(delivery)
    assert events.wait(events.publish("tock").id, "60s").status == "delivered"
