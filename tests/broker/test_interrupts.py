"""What watching handlers costs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dramatiq.middleware import TimeLimitExceeded

from eventsys.broker.interrupts import GRACE_S, Interrupts
from tests.support.waiting import eventually


class CountedQueue(SimpleQueue[None]):
    """A queue that counts what was put into it, and how often it was asked for something."""

    puts = asked = 0

    def put(self, item: None, block: bool = True, timeout: float | None = None) -> None:
        """Count, and put."""
        self.puts += 1
        super().put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> None:
        """Count, and get."""
        self.asked += 1
        return super().get(block, timeout)


def test_handlers_that_end_in_time_do_not_wake_the_watcher() -> None:
    interrupts = Interrupts(lambda *_: None)
    interrupts._wake = woken = CountedQueue()
    message = cast("Any", None)
    for _ in range(20):
        interrupts.enter(message, 60_000)
        interrupts.leave()
        give_way(woken)
    assert woken.puts == 1


def give_way(queue: CountedQueue) -> None:
    """Let the watcher take what was put, and look at what runs: after that it asks again."""
    eventually(lambda: queue.asked > queue.puts)


def test_a_limit_that_no_clock_can_wait_for_keeps_the_watcher_alive() -> None:
    interrupts = Interrupts(lambda *_: None)
    interrupts._wake = woken = CountedQueue()
    message = cast("Any", SimpleNamespace(message_id="1", actor_name="a"))
    interrupts.enter(message, 1e308)
    give_way(woken)
    interrupts.leave()
    with pytest.raises(TimeLimitExceeded):
        run_on(interrupts, message)
    interrupts.leave()


def test_after_a_limit_was_over_python_can_be_traced_and_is_as_fast_as_before() -> None:
    """Before Python 3.13 it looked for an interrupt that was called back for ever, and hung in what is traced."""
    traced = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=110, check=False
    )  # fmt: skip
    assert (traced.stdout, traced.stderr) == ("ended at its limit, then traced\n", "")


#: A handler is ended at its limit and left, and then a function is traced, as debuggers and coverage do.
TRACED = """
import logging, sys, threading
from types import SimpleNamespace
from dramatiq.middleware import TimeLimitExceeded
from eventsys.broker.interrupts import Interrupts
logging.disable()
interrupts = Interrupts(lambda *_: None)
interrupts.enter(SimpleNamespace(message_id="1"), 1)
try:
    for _ in range(1_000):
        threading.Event().wait(0.005)
except TimeLimitExceeded:
    interrupts.leave()
    print("ended at its limit, ", end="")

def traced():
    return "then traced"

sys.settrace(lambda *_: None)
said = traced()
sys.settrace(None)
print(said)
"""


def test_the_watcher_ends_with_the_broker_once_nothing_runs_and_another_begins_with_the_next_handler() -> None:
    interrupts = Interrupts(lambda *_: None)
    message = cast("Any", SimpleNamespace(message_id="1", actor_name="a"))
    interrupts.enter(message, 1_500)
    interrupts.close()
    threading.Event().wait(0.01)
    assert interrupts._is_watching  # of what runs the limit holds
    with pytest.raises(TimeLimitExceeded):
        wait_long()
    interrupts.leave()
    interrupts.close()
    eventually(lambda: not interrupts._is_watching)
    with pytest.raises(TimeLimitExceeded):
        run_on(interrupts, message)
    interrupts.leave()
    interrupts.close()


def test_what_is_to_be_finished_is_and_then_the_limit_strikes() -> None:
    interrupts = Interrupts(lambda *_: None)
    message = cast("Any", SimpleNamespace(message_id="1", actor_name="a"))
    published: list[float] = []
    interrupts.publish = lambda _thread, until: published.append(until)
    finished: list[bool] = []

    def finish() -> None:
        eventually(lambda: time.monotonic() > published[0] - GRACE_S + 0.05)
        finished.append(True)

    interrupts.enter(message, 1_000)
    with pytest.raises(TimeLimitExceeded):
        finish_and_go_on(interrupts, finish)
    interrupts.leave()
    assert finished == [True]
    assert published == [published[0], float("inf"), published[0], float("inf")]
    interrupts.close()


def finish_and_go_on(interrupts: Interrupts, finish: Callable[[], None]) -> None:
    """Finish something, and then run for longer than the limit."""
    interrupts.finish(finish)
    wait_long()


def test_what_ends_in_time_is_finished_without_waking_the_watcher_and_a_thread_that_nobody_watches_too() -> None:
    interrupts = Interrupts(lambda *_: None)
    interrupts._wake = woken = CountedQueue()
    finished: list[bool] = []
    interrupts.enter(cast("Any", None), 60_000)
    give_way(woken)
    interrupts.finish(lambda: finished.append(interrupts.watches_caller()))
    assert interrupts.watches_caller()
    interrupts.leave()
    interrupts.finish(lambda: finished.append(True))
    assert not interrupts.watches_caller()
    assert (finished, woken.puts) == ([False, True], 1)
    interrupts.close()


def run_on(interrupts: Interrupts, message: Any) -> None:
    """Handle a message for longer than its limit."""
    interrupts.enter(message, 1)
    wait_long()


def wait_long() -> None:
    """Wait as a handler does that can be interrupted."""
    for _ in range(1_000):
        threading.Event().wait(0.005)
