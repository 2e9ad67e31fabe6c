"""Four lanes a queue: the urgent come first, the others come too."""

from __future__ import annotations

import threading

import dramatiq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsys.broker.lanes import SHARES, LaneReader
from eventsys.broker.prefetch import MOST, Prefetch
from eventsys.store.steps import message_step
from tests.support.waiting import eventually


def _fill(broker, actor, lane, count) -> None:
    text = actor.message().encode().decode()
    for start in range(0, count, 1000):
        broker.add([message_step("default", lane, {"m": text}) for _ in range(min(1000, count - start))])


@pytest.mark.redis62
def test_a_critical_message_behind_20_000_low_ones_starts_within_one_prefetch(broker, start_worker) -> None:
    started_before = []
    low_handled = []

    @dramatiq.actor(lane="low")
    def low():
        low_handled.append(None)

    @dramatiq.actor(lane="critical")
    def critical():
        started_before.append(len(low_handled))

    _fill(broker, low, 1, 20_000)
    start_worker(broker)
    eventually(lambda: len(low_handled) > 2_000)
    critical.send()
    sent_at = len(low_handled)
    eventually(lambda: started_before)
    assert started_before[0] - sent_at <= 2 * MOST


def test_a_low_message_behind_urgent_ones_is_not_starved(broker, start_worker) -> None:
    """One thread, so that the room is smaller than the number of lanes: each comes in its turn."""
    order = []

    @dramatiq.actor(lane="critical")
    def critical():
        order.append("critical")

    @dramatiq.actor(lane="low")
    def low():
        order.append("low")

    _fill(broker, critical, 10, 5_000)
    _fill(broker, low, 1, 10)
    start_worker(broker, threads=1)
    eventually(lambda: order.count("low") == 10)
    last = max(at for at, lane in enumerate(order) if lane == "low")
    assert last < 5_000


def test_lanes_are_served_eight_to_four_to_two_to_one_under_load(broker) -> None:
    @dramatiq.actor
    def note():
        pass

    for lane in (10, 8, 5, 1):
        _fill(broker, note, lane, 1_000)
    reader = LaneReader(broker.link.channel(), [broker.keys.lane("default", lane) for lane in (10, 8, 5, 1)], "me")
    reader.ensure_groups()
    lanes = [lane for lane, _, _ in reader.read_now(304)]
    assert [lanes.count(lane) for lane in (10, 8, 5, 1)] == [161, 81, 41, 21]


def test_a_lane_that_somebody_deleted_keeps_nothing_of_the_others_back(broker) -> None:
    @dramatiq.actor
    def note():
        pass

    streams = [broker.keys.lane("default", lane) for lane in (10, 8, 5, 1)]
    reader = LaneReader(broker.link.channel(), streams, "me")
    reader.ensure_groups()
    _fill(broker, note, 10, 3)
    _fill(broker, note, 5, 2)
    broker.link.call("DEL", streams[3])
    assert [lane for lane, _, _ in reader.read_now(304)] == [10, 10, 10, 5, 5]
    _fill(broker, note, 1, 1)
    assert [lane for lane, _, _ in reader.read_now(304)] == [1]


@given(st.integers(4, 2_000), st.lists(st.booleans(), min_size=4, max_size=4))
def test_shares_never_exceed_the_room_and_leave_no_lane_out(room, were_empty) -> None:
    reader = LaneReader(None, list("abcd"), "me")  # type: ignore[arg-type]
    reader._were_empty = were_empty
    counts = reader._counts(room)
    assert sum(counts) == room
    assert min(counts) >= 1
    assert len(counts) == len(SHARES)


@given(st.integers(1, 64), st.lists(st.tuples(st.floats(0.006, 2), st.integers(0, 100_000)), max_size=20))
def test_prefetch_stays_between_the_threads_and_the_most(threads, history) -> None:
    clock = [0.0]
    prefetch = Prefetch(threads, monotonic=lambda: clock[0])
    handled = 0
    for passed, more in history:
        clock[0] += passed
        handled += more
        assert threads <= prefetch.limit(handled) <= max(MOST, threads)


def test_prefetch_is_what_is_handled_in_50_ms() -> None:
    clock = [0.0]
    prefetch = Prefetch(8, monotonic=lambda: clock[0])
    clock[0] = 1.0
    assert prefetch.limit(4_000) == 200


def test_of_large_messages_fewer_are_held_and_never_fewer_than_threads() -> None:
    clock = [0.0]
    prefetch = Prefetch(8, monotonic=lambda: clock[0])
    clock[0] = 1.0
    assert prefetch.limit(4_000) == 200
    prefetch.weigh([[b"e", b"x" * 2**20], [b"e", b"x" * 2**20]])
    assert prefetch.limit(4_000) == 15
    prefetch.weigh([[b"e", b"x" * 2**23]])
    assert prefetch.limit(4_000) == 8
    for _ in range(200):
        prefetch.weigh([[b"e", b"x" * 100]])
    assert prefetch.limit(4_000) == 200, "the large ones are over"


def test_slow_handlers_hoard_nothing(broker, start_worker) -> None:
    """While every thread is busy in a long handler, nothing lies in this process that another could run."""
    may_end = threading.Event()
    started = []

    @dramatiq.actor
    def wait():
        started.append(None)
        may_end.wait(60)

    _fill(broker, wait, 5, 100)
    start_worker(broker, threads=4)
    eventually(lambda: len(started) == 4)
    held = broker.link.call("XPENDING", broker.keys.lane("default", 5), "workers")[0]
    may_end.set()
    assert held <= 4 + len(SHARES)
    broker.join("default", timeout=60_000)
