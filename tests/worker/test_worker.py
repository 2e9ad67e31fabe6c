"""What a worker does with plain messages."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import RateLimitExceeded
from dramatiq.middleware import Middleware, ShutdownNotifications, SkipMessage
from dramatiq.middleware.time_limit import TimeLimitExceeded

from eventsys import EventService
from eventsys.broker.broker import EventBroker
from eventsys.broker.lease import Lease
from eventsys.broker.worker import Worker
from eventsys.middleware import default_middleware
from tests.conftest import FreshRedis

StartWorker = Callable[..., Worker]


class Latch:
    """Counts calls, and lets a test wait for the n-th."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._changed = threading.Condition()

    def note(self, what: Any = None) -> None:
        with self._changed:
            self.seen.append(what)
            self._changed.notify_all()

    def wait(self, count: int, timeout_s: float = 60.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.seen) >= count, timeout_s)


def test_every_message_is_handled_once(events: EventService, start_worker: StartWorker) -> None:
    latch = Latch()

    @dramatiq.actor
    def note(number: int) -> None:
        latch.note(number)

    for number in range(200):
        note.send(number)
    start_worker(events.broker)
    events.broker.join("default", timeout=60_000)
    assert sorted(latch.seen) == list(range(200))


def test_a_slow_handler_holds_up_no_neighbour_while_a_thread_is_idle(
    events: EventService, start_worker: StartWorker
) -> None:
    latch, release = Latch(), threading.Event()

    @dramatiq.actor
    def handle(number: int) -> None:
        if number == 0:
            release.wait(60)
        latch.note(number)

    for number in range(30):
        handle.send(number)
    start_worker(events.broker, worker_threads=2)
    others_ended = latch.wait(29)
    release.set()
    assert others_ended
    assert 0 not in latch.seen[:29]


def test_slow_handlers_use_every_thread(events: EventService, start_worker: StartWorker) -> None:
    together = threading.Barrier(4)

    @dramatiq.actor(max_retries=0)
    def meet() -> None:
        together.wait(60)

    for _ in range(8):
        meet.send()
    start_worker(events.broker, worker_threads=4)
    events.broker.join("default", timeout=60_000)
    assert not together.broken


def test_events_are_dispatched_while_all_threads_are_busy(
    events: EventService, start_worker: StartWorker, redis_client: redis.Redis
) -> None:
    latch, release = Latch(), threading.Event()

    @dramatiq.actor
    def busy() -> None:
        latch.note()
        release.wait(60)

    @events.on("order.placed", name="never-begun")
    def handle(event: Any) -> None:
        pass

    worker = start_worker(events.broker, worker_threads=2)
    busy.send()
    busy.send()
    assert latch.wait(2)
    for _ in range(50):
        events.publish("order.placed", {})
    while sum(redis_client.xlen(events.broker.keys.lane("shop", lane)) for lane in (1, 5, 8, 10)) < 50:
        worker.broker.work.committer.join(0.05)
    release.set()


def test_an_event_is_given_out_at_once_while_other_attempts_run(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long would attempts that end wait for others here; what an event leads to cannot begin before its commit.
    monkeypatch.setattr("eventsys.broker.committer.GATHER_S", 60.0)
    running, latch, release = Latch(), Latch(), threading.Event()

    @events.on("shop.opened", timeout=None)
    def stay(event: Any) -> None:
        running.note()
        release.wait(60)

    @events.on("shop.visited")
    def note(event: Any) -> None:
        latch.note()

    start_worker(events.broker)
    events.publish("shop.opened")
    assert running.wait(1)
    events.publish("shop.visited")
    is_prompt = latch.wait(1, timeout_s=20)
    release.set()
    assert is_prompt


def test_what_is_not_begun_is_handed_back_before_running_handlers_end(
    events: EventService, start_worker: StartWorker
) -> None:
    latch, release, handed_back = Latch(), threading.Event(), threading.Event()

    @dramatiq.actor
    def handle(number: int) -> None:
        latch.note(number)
        release.wait(60)

    @events.on("tick", name="makes-room-for-more", queue="default")
    async def never(event: Any) -> None: ...

    hand_back = events.broker.work.hand_back

    def noticed(messages: Any) -> None:
        hand_back(messages)
        if messages:
            handed_back.set()

    events.broker.work.hand_back = noticed  # type: ignore[method-assign]
    for number in range(4):
        handle.send(number)
    worker = start_worker(events.broker, worker_threads=2, async_concurrency=2)
    assert latch.wait(2)
    while len(events.broker.work.in_flight) < 4:
        events.broker.work.committer.join(0.01)
    stopping = threading.Thread(target=worker.stop, args=(10_000,))
    stopping.start()
    was_first = handed_back.wait(60)
    release.set()
    stopping.join(60)
    assert was_first
    assert len(latch.seen) == 2
    start_worker(events.broker)
    assert latch.wait(4)


def test_a_paused_worker_begins_nothing_until_it_is_resumed(events: EventService, start_worker: StartWorker) -> None:
    latch = Latch()

    @dramatiq.actor
    def note() -> None:
        latch.note()

    worker = start_worker(events.broker)
    worker.pause()
    note.send()
    assert not latch.wait(1, timeout_s=0.3)
    worker.resume()
    assert latch.wait(1)


def test_a_queue_declared_later_is_read_too(events: EventService, start_worker: StartWorker) -> None:
    latch = Latch()
    start_worker(events.broker)

    @dramatiq.actor(queue_name="later")
    def note() -> None:
        latch.note()

    note.send()
    assert latch.wait(1)


def test_only_the_given_queues_are_read(events: EventService, start_worker: StartWorker) -> None:
    @dramatiq.actor(queue_name="mine")
    def mine() -> None: ...

    @dramatiq.actor(queue_name="other")
    def other() -> None: ...

    assert set(start_worker(events.broker, queues=["mine"]).consumers) == {"mine"}


def test_the_middleware_gets_the_signals_of_dramatiqs_worker(events: EventService, start_worker: StartWorker) -> None:
    latch = Latch()

    class Recorder(Middleware):
        def __getattribute__(self, name: str) -> Any:
            if name.startswith(("before_", "after_")):
                return lambda *_, **__: latch.note(name)
            return super().__getattribute__(name)

    @dramatiq.actor
    def nothing() -> None: ...

    events.broker.add_middleware(Recorder())
    worker = start_worker(events.broker)
    nothing.send()
    events.broker.join("default", timeout=60_000)
    worker.stop()
    parts = ("worker_thread", "consumer_thread")
    wanted = {"before_worker_boot", "after_worker_boot", "before_worker_shutdown", "after_worker_shutdown"}
    wanted |= {f"after_{part}_boot" for part in parts} | {f"before_{part}_shutdown" for part in parts}
    wanted |= {"before_process_message", "after_process_message", "before_ack", "after_ack"}
    assert wanted <= set(latch.seen)


@pytest.mark.parametrize(
    ("error", "options", "level"),
    [
        (ValueError("no"), {}, logging.ERROR),
        (ValueError("no"), {"throws": ValueError}, logging.INFO),
        (RateLimitExceeded("slowly"), {}, logging.DEBUG),
        (dramatiq.Retry("again"), {}, None),
    ],
)
def test_a_failure_is_logged_by_its_kind_and_never_with_arguments(
    events: EventService,
    start_worker: StartWorker,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    options: dict[str, Any],
    level: int | None,
) -> None:
    @dramatiq.actor(max_retries=0, **options)
    def fail(_: str) -> None:
        raise error

    caplog.set_level(logging.DEBUG)
    fail.send("top secret")
    start_worker(events.broker)
    events.broker.join("default", timeout=60_000)
    records = [one for one in caplog.records if "Failed to process" in one.message or "Rate limit" in one.message]
    assert [one.levelno for one in records] == ([] if level is None else [level])
    assert "top secret" not in "".join(one.getMessage() for one in caplog.records if one.name.startswith("dramatiq.b"))


def test_a_message_that_a_middleware_skips_does_not_run(events: EventService, start_worker: StartWorker) -> None:
    latch = Latch()

    class Skipper(Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            raise SkipMessage

        def after_skip_message(self, broker: Any, message: Any) -> None:
            latch.note("skipped")

    @dramatiq.actor
    def run() -> None:
        latch.note("run")

    events.broker.add_middleware(Skipper())
    run.send()
    start_worker(events.broker)
    events.broker.join("default", timeout=60_000)
    assert latch.seen == ["skipped"]


def test_work_goes_on_soon_after_redis_came_back(
    fresh_redis: Callable[[], FreshRedis], start_worker: StartWorker
) -> None:
    """Within five seconds on a machine that has time, and on any before a lease has ended."""
    server, latch = fresh_redis(), Latch()
    broker = EventBroker(server.url, middleware=default_middleware())

    @dramatiq.actor(broker=broker)
    def note(number: int) -> None:
        latch.note(number)

    start_worker(broker)
    note.send(1)
    assert latch.wait(1)
    server.kill()
    server.start()
    came_back_at = time.monotonic()
    EventBroker(server.url, middleware=[]).enqueue(note.message(2))
    assert latch.wait(2)
    assert time.monotonic() - came_back_at < Lease().lease_ms / 1000


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_reported(events: EventService, start_worker: StartWorker) -> None:
    class Deadly(Middleware):
        def after_worker_thread_boot(self, broker: Any, thread: Any) -> None:
            raise SystemExit

    events.broker.add_middleware(Deadly())
    worker = start_worker(events.broker, worker_threads=1)
    for thread in worker.workers:
        thread.join(60)
    assert worker.dead_threads() == [thread.name for thread in worker.workers]


def test_every_undocumented_name_of_dramatiq_that_the_worker_uses_is_there() -> None:
    """The list in the docstring of Worker; a new version of Dramatiq that drops one of them fails here."""
    proxy = dramatiq.MessageProxy(dramatiq.Message("q", "a", (), {}, {}))
    assert proxy.failed is False
    proxy.stuff_exception(ValueError())
    proxy.clear_exception()
    proxy.fail()
    assert proxy.failed is True
    actor: dramatiq.Actor[..., None] = dramatiq.Actor(
        print, broker=StubBroker(), actor_name="a", queue_name="q", priority=3, options={"x": 1}
    )
    assert (actor.fn, actor.priority, actor.options) == (print, 3, {"x": 1})
    assert hasattr(EventLoopThread(logging.getLogger()), "loop")
    assert callable(get_event_loop_thread)
    assert issubclass(TimeLimitExceeded, BaseException)
    assert "notify_shutdown" in ShutdownNotifications().actor_options
