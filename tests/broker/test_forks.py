"""Handlers that fork."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventsys import DeliveryStatus, Event, EventService, EventStatus
from eventsys.broker.forks import CAME_BACK
from eventsys.broker.worker import Worker

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def exit_code_of(pid: int) -> int:
    """Return how a child ended; one that does not end is killed."""
    ready, _, _ = select.select([os.pidfd_open(pid)], [], [], 60)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_that_comes_back_from_its_handler_ends_and_the_parent_goes_on(
    events: EventService, work: Callable[..., Any]
) -> None:
    codes: list[int] = []
    ended = threading.Event()

    @events.on("tick", name="forks")
    def handle(event: Event) -> None:
        child = os.fork()
        if child:
            codes.append(exit_code_of(child))
            ended.set()

    work()
    published = events.publish("tick", {})
    assert ended.wait(60)
    assert codes == [CAME_BACK]
    [delivery] = events.wait(published.id).deliveries
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 1)


def test_a_child_that_comes_back_from_a_coroutine_ends_too(events: EventService, services: Any) -> None:
    codes: list[int] = []
    ended = threading.Event()

    @events.on("tick", name="forks")
    async def handle(event: Event) -> None:
        child = os.fork()
        if child:
            codes.append(exit_code_of(child))
            ended.set()

    services.work(events, Worker)
    published = events.publish("tick", {})
    assert ended.wait(60)
    assert codes == [CAME_BACK]
    assert events.wait(published.id).deliveries[0].status is DeliveryStatus.SUCCEEDED


def _publish_and_fork(
    events: EventService, work: Callable[..., Any], in_child: Callable[[], object]
) -> tuple[Event, int]:
    """Return an event, and how the child ended that its handler forked."""
    codes: list[int] = []
    ended = threading.Event()

    @events.on("tick", name="forks")
    def handle(event: Event) -> None:
        child = os.fork()
        if not child:
            in_child()
            return
        codes.append(exit_code_of(child))
        ended.set()

    work()
    published = events.publish("tick", {})
    assert ended.wait(60)
    return published, codes[0]


def test_a_child_of_multiprocessing_runs_what_it_publishes_inline(
    events: EventService, quick_work: Callable[..., Any], tmp_path: Path
) -> None:
    @events.on("from.child", name="inline", async_=False)
    def note(event: Event) -> None:
        (tmp_path / event.id).touch()

    def publish() -> None:
        events.publish("from.child", {}, id="childs")
        os._exit(7 if (tmp_path / "childs").exists() else 8)

    assert _publish_and_fork(events, quick_work, publish)[1] == 7
    assert events.wait("childs").status is EventStatus.DELIVERED


def test_a_grandchild_that_comes_back_from_its_handler_ends_too(events: EventService, work: Callable[..., Any]) -> None:
    def fork_again() -> None:
        grandchild = os.fork()
        if grandchild:
            os._exit(exit_code_of(grandchild))

    published, code = _publish_and_fork(events, work, fork_again)
    assert code == CAME_BACK
    [delivery] = events.wait(published.id).deliveries
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 1)


def test_a_child_of_multiprocessing_does_its_own_work(events: EventService, quick_work: Callable[..., Any]) -> None:
    """It never comes back, and publishes by itself: the attempt it was forked in is its parent's."""

    def publish() -> None:
        events.publish("from.child", {}, id="childs")
        os._exit(7)

    assert _publish_and_fork(events, quick_work, publish)[1] == 7
    assert events.get_event_records().total == 2
    assert events.get_event("childs").causation_id is None
