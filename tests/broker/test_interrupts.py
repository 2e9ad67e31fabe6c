"""What watching handlers costs."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dramatiq.middleware import TimeLimitExceeded

from eventsys.broker.interrupts import Interrupts


class CountedQueue(SimpleQueue[None]):
    """A queue that counts what was put into it."""

    puts = 0

    def put(self, item: None, block: bool = True, timeout: float | None = None) -> None:
        """Count, and put."""
        self.puts += 1
        super().put(item, block, timeout)


def test_handlers_that_end_in_time_do_not_wake_the_watcher() -> None:
    interrupts = Interrupts(lambda *_: None)
    interrupts._wake = woken = CountedQueue()
    message = cast("Any", None)
    for _ in range(20):
        interrupts.enter(message, 60_000)
        interrupts.leave()
        give_way_until_empty(woken)
    assert woken.puts == 1


def give_way_until_empty(queue: SimpleQueue[None]) -> None:
    """Let the watcher take what was put, and look at what runs."""
    until = time.monotonic() + 5
    while not queue.empty() and time.monotonic() < until:
        threading.Event().wait(0.001)
    threading.Event().wait(0.001)


def test_a_limit_that_no_clock_can_wait_for_keeps_the_watcher_alive() -> None:
    interrupts = Interrupts(lambda *_: None)
    interrupts._wake = woken = CountedQueue()
    message = cast("Any", SimpleNamespace(message_id="1", actor_name="a"))
    interrupts.enter(message, 1e308)
    give_way_until_empty(woken)
    interrupts.leave()
    with pytest.raises(TimeLimitExceeded):
        run_on(interrupts, message)
    interrupts.leave()


def run_on(interrupts: Interrupts, message: Any) -> None:
    """Handle a message for longer than its limit."""
    interrupts.enter(message, 1)
    for _ in range(1_000):
        threading.Event().wait(0.005)
