"""Children that are forked while a service is at work: they begin anew, and leave the parent's work alone."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from dramatiq.asyncio import get_event_loop_thread

from eventsys import EventService
from tests.broker.test_forks import exit_code_of
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def forked(child: Callable[[], object]) -> int:
    """Return how a child ends that does this: 0 where nothing went wrong."""
    pid = os.fork()
    if pid:
        return exit_code_of(pid)
    try:
        child()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def test_a_child_forked_while_others_wait_for_redis_waits_for_nobody(events: EventService) -> None:
    bus, are_held, may_end = events.bus, threading.Event(), threading.Event()
    events.on("a.b", name="handler")(lambda event: None)
    at_run_time = bus._at_run_time
    parts: list[Any] = [
        at_run_time, bus.declarations, bus.router, bus.system, bus.subscriptions._set, events.delayed.poller,
    ]  # fmt: skip

    def hold() -> None:
        with ExitStack() as locks:
            others = (at_run_time._noting, bus.tending._looking, events.cron._declarations._lock)
            for lock in [*(part._lock for part in parts), *others]:
                locks.enter_context(lock)
            are_held.set()
            may_end.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert are_held.wait(60)

    def use_everything() -> None:
        events.publish("a.b", {}, id="childs")
        bus.system.warn("k", "m")
        bus.tending.make_round()
        bus.router.refresh()
        events.cron._declarations.complete()
        events.start()
        events.delayed.start()
        events.stop()

    code = forked(use_everything)
    may_end.set()
    holder.join()
    assert code == 0
    assert events.get_event("childs").type == "a.b"


def test_a_child_that_stops_the_service_leaves_the_lead_to_its_parent(
    events: EventService, redis_client: redis.Redis
) -> None:
    events.delayed.start()
    poller: Any = events.delayed.poller.poller
    eventually(lambda: poller.is_leading)
    key = events.broker.keys.poller
    leader: Any = redis_client.get(key)
    assert forked(events.stop) == 0
    left: Any = redis_client.get(key)
    assert left.partition(b" ")[2] == leader.partition(b" ")[2]
    assert left >= leader


def test_a_child_has_none_of_the_consumers_of_its_parents_worker(events: EventService, services: Services) -> None:
    """A queue that it declared was read for a worker that was not there: what was on it got stuck."""
    services.work(events)

    def declare() -> None:
        events.broker.declare_queue("more")
        assert "ConsumerThread" not in {type(thread).__name__ for thread in threading.enumerate()}

    assert forked(declare) == 0


def test_a_child_starts_what_its_parent_had_started(events: EventService) -> None:
    events.subscribe("a.b", lambda event: None, name="handler")
    events.start()
    events.delayed.start()

    def start() -> None:
        assert not events.broker.has_workers
        assert get_event_loop_thread() is None
        events.start()
        events.delayed.start()
        running = threading.enumerate()
        assert "ConsumerThread" in {type(thread).__name__ for thread in running}
        assert "eventsys-poller" in {thread.name for thread in running}
        events.stop()

    assert forked(start) == 0
