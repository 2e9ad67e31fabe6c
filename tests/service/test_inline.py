"""Handlers with async_=False, which run inside publish."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dramatiq import Broker, MessageProxy, Middleware
from dramatiq.middleware import SkipMessage

from eventsys import (
    DeliveryStatus,
    Event,
    EventService,
    EventStatus,
    InlineHandlerError,
    RedisUnavailableError,
    SubscriptionOptions,
)
from tests.support.services import Services


@pytest.mark.redis62
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("how", ["publish", "apublish", "publish in a loop"])
def test_it_runs_in_the_publishers_process_before_publish_returns(
    events: EventService, is_async: bool, how: str
) -> None:
    seen: list[str] = []

    async def later(event: Event) -> None:
        seen.append(event.id)

    events.on("a.b", name="inline", async_=False)(later if is_async else lambda event: seen.append(event.id))

    async def publish_in_a_loop() -> Event:
        return events.publish("a.b", {}) if how == "publish in a loop" else await events.apublish("a.b", {})

    event = events.publish("a.b", {}) if how == "publish" else asyncio.run(publish_in_a_loop())
    assert seen == [event.id]
    record = events.get_event(event.id)
    assert record.status is EventStatus.DELIVERED
    assert record.deliveries[0].attempts == 1
    assert events.publish("x.y", {}).causation_id is None


@pytest.mark.redis62
def test_its_error_is_raised_after_everybody_else_is_served(events: EventService, services: Services) -> None:
    seen: list[str] = []

    @events.on("a.b", name="inline", async_=False)
    def inline(event: Event) -> None:
        events.publish("c.d", {}, id="dropped")
        raise ValueError("no")

    events.on("a.b", name="other")(lambda event: seen.append(event.id))
    with pytest.raises(InlineHandlerError, match="inline failed on event") as caught:
        events.publish("a.b", {}, id="mine")
    assert caught.value.event.id == "mine"
    assert isinstance(caught.value.__cause__, ValueError)
    services.work(events)
    record = events.wait("mine")
    assert seen == ["mine"]
    assert {one.subscription: one.status for one in record.deliveries} == {
        "inline": DeliveryStatus.DEAD,
        "other": DeliveryStatus.SUCCEEDED,
    }
    assert events.get_metrics().total_events == 1


@pytest.mark.parametrize("instead", [None, asyncio.CancelledError, ValueError])
def test_a_coroutine_is_cancelled_at_its_timeout_whatever_it_makes_of_that(
    events: EventService, instead: type[BaseException] | None
) -> None:
    async def stuck(event: Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if instead is not None:
                raise instead from None

    events.on("a.b", name="inline", async_=False, timeout="30ms")(stuck)
    with pytest.raises(InlineHandlerError, match="ran longer than its timeout of 30 ms"):
        events.publish("a.b", {}, id="mine")
    assert events.get_event("mine").deliveries[0].history[0].status == "timeout"


def test_published_otherwise_it_is_delivered_like_any_other(events: EventService, services: Services) -> None:
    threads: list[str] = []
    events.on("a.b", name="inline", async_=False)(lambda event: threads.append(threading.current_thread().name))
    event = events.publish_async("a.b", {}).result(timeout=60)
    assert threads == []
    services.work(events)
    assert events.wait(event.id).status is EventStatus.DELIVERED
    assert threads != [threading.current_thread().name]


@pytest.mark.parametrize("first", [False, True], ids=["before any use", "after the first use"])
def test_it_runs_inside_publish_in_a_process_with_a_worker_too(
    events: EventService, services: Services, first: bool
) -> None:
    """It is the worker, and not the first publish, that then declares what was subscribed."""
    threads: list[int] = []
    if first:
        events.publish("x.y")
    events.on("a.b", name="inline", async_=False)(lambda event: threads.append(threading.get_ident()))
    services.work(events)
    events.publish("a.b")
    assert threads == [threading.get_ident()]


def test_an_interrupt_of_the_handler_leaves_no_attempt_open(events: EventService, services: Services) -> None:
    """Ctrl-C strikes the first of two; the second goes to the workers."""
    seen: list[str] = []

    @events.on("a.b", name="first", async_=False)
    def first(event: Event) -> None:
        raise KeyboardInterrupt

    events.on("a.b", name="second", async_=False)(lambda event: seen.append(event.id))
    with pytest.raises(KeyboardInterrupt):
        events.publish("a.b", {}, id="mine")
    events.publish("c.d", {}, id="free")
    assert events.get_event("free").causation_id is None
    services.work(events)
    record = events.wait("mine")
    assert seen == ["mine"]
    assert [one.status for one in record.deliveries] == [DeliveryStatus.DEAD, DeliveryStatus.SUCCEEDED]


def test_what_an_interrupted_publish_cannot_give_away_is_given_away_when_redis_answers(
    events: EventService, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    @events.on("a.b", name="first", async_=False)
    def first(event: Event) -> None:
        raise KeyboardInterrupt

    def fail(*arguments: Any) -> Any:
        raise RedisUnavailableError("away")

    events.on("a.b", name="second", async_=False)(lambda event: None)
    with monkeypatch.context() as patch:
        patch.setattr(events.bus.inline, "_requeue", fail)
        with pytest.raises(KeyboardInterrupt):
            events.publish("a.b", {}, id="mine")
    services.work(events)
    events.bus.tending.make_round()
    assert [one.status for one in events.wait("mine").deliveries] == [DeliveryStatus.DEAD, DeliveryStatus.SUCCEEDED]


def test_a_publish_interrupted_before_it_hears_what_it_leased_leaves_that_to_the_workers(
    events: EventService, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    events.on("a.b", name="inline", async_=False)(lambda event: seen.append(event.id))
    services.work(events)
    publish = events.bus.inline._publish_and_dispatch

    def interrupted(draft: Any) -> Any:
        publish(draft)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(events.bus.inline, "_publish_and_dispatch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            events.publish("a.b", {}, id="mine")
    events.bus.tending.make_round()
    assert events.wait("mine", "20s").status is EventStatus.DELIVERED
    assert seen == ["mine"]


@pytest.mark.parametrize("is_back", [False, True], ids=["before its thread is back", "when its thread is back"])
def test_a_publish_cancelled_while_its_event_is_stored_leaves_its_handlers_to_the_workers(
    events: EventService, services: Services, monkeypatch: pytest.MonkeyPatch, is_back: bool
) -> None:
    """The thread cannot be stopped: it stores the event, and leases what nobody is there to run any more."""
    seen: list[str] = []
    events.on("a.b", name="inline", async_=False)(lambda event: seen.append(event.id))
    services.work(events)
    may_return, run_telling = threading.Event(), events.broker.link.run_telling

    async def publish() -> None:
        loop, is_stored, thread = asyncio.get_running_loop(), asyncio.Event(), ThreadPoolExecutor(1)
        loop.set_default_executor(thread)

        def store(*arguments: Any) -> Any:
            reply = run_telling(*arguments)
            loop.call_soon_threadsafe(is_stored.set)
            assert may_return.wait(60)
            return reply

        monkeypatch.setattr(events.broker.link, "run_telling", store)
        task = asyncio.create_task(events.apublish("a.b", {}, id="mine"))
        await is_stored.wait()
        if is_back:
            may_return.set()
            thread.submit(bool).result()  # the loop, which this blocks, has not heard of it yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_return.set()

    asyncio.run(publish())
    assert events.wait("mine", timeout="20s").status is EventStatus.DELIVERED
    assert seen == ["mine"]


def test_a_publish_cancelled_as_the_thread_of_a_handler_starts_leaves_it_to_that_thread(
    events: EventService, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, may_go_on, begin = threading.Event(), threading.Event(), events.broker.work.begin
    seen: list[str] = []
    events.on("a.b", name="inline", async_=False)(lambda event: seen.append(event.id))

    def begin_slowly(message: Any) -> None:
        monkeypatch.undo()
        starts.set()
        assert may_go_on.wait(60)
        begin(message)

    monkeypatch.setattr(events.broker.work, "begin", begin_slowly)

    async def publish() -> None:
        task = asyncio.create_task(events.apublish("a.b", {}, id="mine"))
        assert await asyncio.to_thread(starts.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_go_on.set()

    asyncio.run(publish())
    services.work(events)
    events.wait("mine")
    events.wait(events.publish("a.b", {}, id="next").id)
    assert sorted(seen) == ["mine", "next"]


CHILD = """
import os, signal, sys
from eventsys import EventService
from eventsys.broker.lease import Lease
events = EventService(redis_url=sys.argv[1], name=sys.argv[2], app="tests")
events.broker.work.lease = Lease.of(1.0)
@events.on("a.b", name="inline", async_=False)
def inline(event):
    os.kill(os.getpid(), signal.SIGKILL)
events.subscribe("run.time", lambda event: None, name="run-time")
events.publish("a.b", {}, id="mine")
"""


def test_when_the_publisher_is_killed_in_the_handler_a_worker_takes_it_and_its_subscriptions_end(
    redis_url: str, services: Services
) -> None:
    events = services.make()
    seen: list[str] = []
    child = subprocess.run([sys.executable, "-c", CHILD, redis_url, events.settings.name], timeout=110, check=False)
    assert child.returncode == -signal.SIGKILL
    before = events.publish("run.time", {})
    events.on("a.b", name="inline", async_=False)(lambda event: seen.append(event.id))
    from eventsys.broker.lease import Lease

    events.broker.work.lease = Lease.of(1.0)
    services.work(events)
    assert events.wait("mine").status is EventStatus.DELIVERED
    assert seen == ["mine"]
    assert events.wait(before.id).status in {EventStatus.CANCELLED, EventStatus.DELIVERED}
    from tests.support.waiting import eventually

    eventually(lambda: events.bus.subscriptions.get("run-time") is None)
    assert events.wait(events.publish("run.time", {}).id).deliveries == []


def test_a_run_time_subscription_may_run_inline_too(events: EventService) -> None:
    seen: list[str] = []
    events.subscribe("a.b", lambda event: seen.append(event.id), SubscriptionOptions(async_=False), name="inline")
    event = events.publish("a.b", {})
    assert seen == [event.id]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_hook_that_refuses_it_fails_it_and_ends_its_attempt(events: EventService, is_async: bool) -> None:
    class Guard(Middleware):
        def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
            raise SkipMessage("not now")

    async def later(event: Event) -> None:
        raise AssertionError("refused")

    def now(event: Event) -> None:
        raise AssertionError("refused")

    events.broker.add_middleware(Guard())
    events.on("a.b", name="inline", async_=False)(later if is_async else now)
    with pytest.raises(InlineHandlerError, match="not now"):
        events.publish("a.b", {}, id="mine")
    assert events.get_event("mine").status is EventStatus.FAILED
    events.publish("x.y", {}, id="next")
    assert events.get_event("next").status is EventStatus.PENDING, "it went into an attempt that never ends"
