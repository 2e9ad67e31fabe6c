"""Numbers that no clock can wait for, in messages, rows of Redis and calls: no thread ends, and nothing is lost."""

from __future__ import annotations

import threading
from typing import Any, cast

import dramatiq
import pytest

from eventsys import Event, EventService, InvalidDurationError
from eventsys.broker.hard_limits import HardLimits
from eventsys.broker.interrupts import GRACE_S
from eventsys.broker.messages import Place, PlainMessage
from eventsys.middleware.timeout import PLAIN_LIMIT_MS, time_limit_ms
from eventsys.scheduling.poller import Poller, _announced_ms
from eventsys.scheduling.sweeper import Sweeper
from eventsys.testing import EventHarness
from tests.support.entries import add_entry
from tests.support.waiting import eventually

#: What a stranger may write where a number of milliseconds belongs.
ODD = [float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 10**400, -(10**400), -5, 10**18, "5", [], {}, True]


@pytest.mark.parametrize("limit", ODD, ids=repr)
def test_a_time_limit_is_one_that_can_be_waited_for(limit: Any) -> None:
    place = Place("q", 5, "s", "1-1", "me")
    message = PlainMessage(place, actor_name="a", args=(), options={"time_limit": limit}, message_id="1")
    found = time_limit_ms(message)
    assert found is None or (found > 0 and found / 1000 < threading.TIMEOUT_MAX)
    if not isinstance(limit, (int, float)) or isinstance(limit, bool) or limit != limit or limit <= 0:
        assert found == PLAIN_LIMIT_MS


@pytest.mark.parametrize("limit", [1e308, float("nan")])
def test_the_watcher_of_hard_limits_survives_a_limit_that_it_cannot_wait_for(limit: float) -> None:
    stuck: list[Any] = []
    limits = HardLimits(lambda message, _error: stuck.append(message))
    first, second = cast("Any", "first"), cast("Any", "second")
    limits.enter(first, limit)
    limits.enter(second, -1000 * GRACE_S)
    eventually(lambda: stuck == ["second"])


def test_a_failure_whose_next_attempt_cannot_be_planned_is_a_dead_letter(harness: EventHarness) -> None:
    """It was taken for a success, since hooks that raise are passed over."""
    events = harness.events

    @events.on("odd.happened", name="fails", queue="q")
    def fail(event: Event) -> None:
        raise ValueError("closed")

    events.publish("odd.happened", {})
    harness.run()
    letters = events.dead_letters.list().total
    envelope = (
        '{"id":"odd-1","type":"odd.happened","time":"2026-11-26T08:00:00Z","retry_delay_ms":1000000000000000000,'
        '"payload":{}}'
    )
    broker = events.broker
    add_entry(broker, broker.keys.lane("q", 5), "s", "fails", "e", envelope, "t", broker.clock.now_ms())
    harness.run()
    assert events.dead_letters.list().total == letters + 1


@pytest.mark.parametrize("options", [{"max_retries": "many"}, {"min_backoff": 10**400}, {"max_backoff": []}], ids=repr)
def test_a_plain_message_with_odd_options_that_fails_is_a_dead_letter(
    harness: EventHarness, options: dict[str, Any]
) -> None:
    events = harness.events

    @dramatiq.actor(broker=events.broker, actor_name="odd_fails", queue_name="plain")
    def odd_fails() -> None:
        raise ValueError("closed")

    events.broker.enqueue(odd_fails.message_with_options(**options))
    harness.run()
    assert [one.actor for one in events.dead_letters.list().items] == ["odd_fails"]


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), 1e308, 10**400, -1e308])
def test_a_message_is_not_sent_for_a_time_that_is_none(events: EventService, delay: Any) -> None:
    @dramatiq.actor(broker=events.broker, actor_name="odd_waits", queue_name="plain")
    def odd_waits() -> None:
        pass

    with pytest.raises(InvalidDurationError, match="odd_waits"):
        events.broker.enqueue(odd_waits.message(), delay=delay)


@pytest.mark.parametrize("said", [b"inf", b"-inf", b"nan", b"1e999", b"", b"\xff", b"9" * 5000])
def test_whatever_wakes_the_poller_is_understood(said: bytes) -> None:
    assert isinstance(_announced_ms([b"message", b"wake", said]), int)


@pytest.mark.parametrize("leader", ["nonsense", "inf somebody", "", f"{'9' * 15} somebody", "1e308 somebody", "5"])
def test_a_poller_leads_whatever_stands_where_the_leader_should(events: EventService, leader: str) -> None:
    broker = events.broker
    broker.link.call("SET", broker.keys.poller, leader)
    poller = Poller(broker.link, broker.keys, broker.clock, process="me")
    poller.start()
    try:
        eventually(lambda: poller.is_leading)
    finally:
        poller.stop()


def test_the_sweeper_goes_on_whatever_a_sweep_makes_of_what_is_stored(events: EventService) -> None:
    rounds: list[int] = []

    class Sweeps:
        def run_overdue(self) -> None:
            rounds.append(1)
            raise OverflowError("no such time")

    sweeper = Sweeper(cast("Any", Sweeps()), lambda: True)
    sweeper._look_s = 0.001
    sweeper.start()
    eventually(lambda: len(rounds) > 1)
    sweeper.stop()


def test_one_odd_sweep_does_not_keep_the_others_from_running(events: EventService) -> None:
    names = [one["name"] for one in events.sweeps.states()]
    events.broker.link.call("SET", events.broker.keys.sweep(names[0]), "no hash")
    assert set(events.sweeps.run_all()) == set(names[1:])


@pytest.mark.parametrize("field", ["rate", "paid_ms", "driver_until_ms", "created_ms"])
@pytest.mark.parametrize("number", ["nan", "inf", "0", "-1", "1e308", "9" * 400, "odd"])
def test_one_odd_replay_does_not_stop_the_others(harness: EventHarness, field: str, number: str) -> None:
    events = harness.events
    seen: list[int] = []

    @events.on("odd.happened", name="takes")
    def take(event: Event) -> None:
        seen.append(1)

    events.publish("odd.happened", {})
    harness.run()
    odd, good = events.replays.replay("takes"), events.replays.replay("takes")
    events.broker.link.call("HSET", events.broker.keys.replay(odd.id), field, number)
    harness.advance(seconds=2)
    assert events.replays.get(good.id).state == "completed"
    assert len(seen) >= 2
