"""What stays of a message that is over, and of what a process at little work leaves behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from weakref import ref

import pytest

from eventsys.broker.attempt import Attempt
from eventsys.broker.garbage import EVERY_S, SELDOM, FullLooks, settle_garbage
from eventsys.broker.messages import Place, PlainMessage


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Let nothing go but what nothing refers to."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_message_and_its_payload_go_with_the_last_who_looks_at_it() -> None:
    place = Place("default", 5, "stream", "1-0", "holder")
    message = PlainMessage(place, actor_name="a", args=("payload",), options={}, message_id="1")
    message.attempt = attempt = Attempt(message, takes_sends=True)
    was = ref(message)
    del message
    assert (was(), attempt.message, attempt.message_id) == (None, None, "1")


class Clock:
    """A clock that a test turns, and a collector that takes its time on it."""

    def __init__(self) -> None:
        self.now_s, self.takes_s, self.looks = 1000.0, 0.0, 0

    def read(self) -> float:
        return self.now_s

    def collect(self) -> None:
        self.looks, self.now_s = self.looks + 1, self.now_s + self.takes_s

    def looks_after(self, full_looks: FullLooks, passed_s: float) -> int:
        self.now_s += passed_s
        before = self.looks
        full_looks.look()
        return self.looks - before


@pytest.mark.usefixtures("garbage_as_it_was")
def test_all_garbage_is_looked_at_once_a_minute_and_less_often_where_that_takes_long() -> None:
    settle_garbage()
    clock = Clock()
    full_looks = FullLooks(clock.read, clock.collect)
    assert [clock.looks_after(full_looks, passed) for passed in (0, EVERY_S - 1, 1, 1, EVERY_S - 1)] == [0, 0, 1, 0, 1]
    clock.takes_s = 0.25
    assert [clock.looks_after(full_looks, passed) for passed in (EVERY_S, 0.25 * SELDOM - 1, 1)] == [1, 0, 1]


def test_a_process_whose_collector_was_left_alone_keeps_its_own_pace() -> None:
    clock = Clock()
    assert clock.looks_after(FullLooks(clock.read, clock.collect), 10 * EVERY_S) == 0


@pytest.mark.usefixtures("garbage_as_it_was")
def test_a_look_lets_go_of_the_tuples_that_python_keeps_for_another_time() -> None:
    settle_garbage()
    clock = Clock()
    full_looks = FullLooks(clock.read)
    many = [tuple(range(size)) for size in range(2, 20) for _ in range(2_000)]
    del many
    kept = sys.getallocatedblocks()
    clock.now_s += EVERY_S
    full_looks.look()
    assert kept - sys.getallocatedblocks() > 20_000
