"""A sweep takes effect once an interval, whoever tells it to run, and runs even where nobody does."""

from __future__ import annotations

import threading
from datetime import timedelta

import dramatiq
import pytest
from periodiq import cron

from eventsys.errors import SettingsError
from eventsys.scheduling.sweeper import Sweeper
from eventsys.scheduling.sweeps import OVERDUE_MS, Sweeps
from eventsys.store.keys import SWEEP_QUEUE
from eventsys.store.scripts import script
from tests.support.waiting import eventually

_MINUTE = timedelta(minutes=1)
_NOON_MS = 1_800_000_000_000


class _Calls(list):
    def __call__(self, now_ms: int) -> int:
        self.append(now_ms)
        return 7


@pytest.fixture
def clock(make_broker):
    """Turn the time of the broker under test."""

    class Turned:
        def __init__(self) -> None:
            self.broker = make_broker()
            self.now_ms = _NOON_MS
            self.broker.clock.now_ms = lambda: self.now_ms

    return Turned()


def test_two_ticks_of_one_minute_take_effect_once(clock) -> None:
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("look", _MINUTE, calls)
    assert sweeps.run("look") == 7
    clock.now_ms += 59_999
    assert sweeps.run("look") is None
    clock.now_ms += 1
    assert sweeps.run("look") == 7
    assert len(calls) == 2


@pytest.mark.redis62
def test_many_told_at_once_run_it_once(clock) -> None:
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("look", _MINUTE, calls)
    gate = threading.Barrier(8)

    def told() -> None:
        gate.wait()
        sweeps.run("look")

    threads = [threading.Thread(target=told) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_tick_that_comes_an_interval_late_is_not_a_second_run(clock) -> None:
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("look", _MINUTE, calls)
    sweeps.run("look")
    clock.now_ms -= 60_000
    assert sweeps.run("look") is None


def test_a_clock_that_was_set_back_stops_no_sweep(clock) -> None:
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("look", _MINUTE, calls)
    sweeps.run("look")
    clock.now_ms -= 24 * 3_600_000
    assert sweeps.run("look") == 7


def test_after_a_clock_was_set_back_sweeps_run_without_a_tick_too(clock) -> None:
    """Each was passed over for as long as the clock was set back."""
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("look", _MINUTE, calls)
    sweeps.run("look")
    clock.now_ms -= 60_000
    assert sweeps.run_overdue() == {}  # clocks of processes differ
    clock.now_ms -= 3_540_000
    assert sweeps.run_overdue() == {"look": 7}
    assert sweeps.run_overdue() == {}


def test_an_hourly_sweep_runs_with_the_first_tick_of_the_hour(clock) -> None:
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("tidy", timedelta(hours=1), calls)
    for _ in range(120):
        sweeps.run("tidy")
        clock.now_ms += 60_000
    assert len(calls) == 2


def test_what_is_three_minutes_late_runs_without_a_tick(clock) -> None:
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("look", _MINUTE, calls)
    assert sweeps.run_overdue() == {"look": 7}  # never seen
    clock.now_ms += OVERDUE_MS - 1
    assert sweeps.run_overdue() == {}
    clock.now_ms += 60_001
    assert sweeps.run_overdue() == {"look": 7}


def test_a_sweep_whose_process_was_lost_runs_again_in_the_same_interval(clock) -> None:
    """As one whose Redis was lost before its end was recorded; as long as a time limit lets it run it may go on."""
    calls, sweeps = _Calls(), Sweeps(clock.broker)
    sweeps.add("tidy", timedelta(hours=1), calls)
    began = clock.broker.link.run(
        script("claim_sweep"), clock.broker.keys.prefix, _NOON_MS, "tidy", _NOON_MS // 3_600_000
    )
    assert began
    clock.now_ms += 599_999
    assert sweeps.run("tidy") is None
    clock.now_ms += 1
    assert sweeps.run_overdue() == {"tidy": 7}
    clock.now_ms += 1_800_000
    assert sweeps.run("tidy") is None


def test_a_sweep_that_fails_says_so_and_runs_again_with_the_next_tick(clock) -> None:
    sweeps, broken = Sweeps(clock.broker), [True]

    def look(now_ms: int) -> int:
        if broken:
            raise ZeroDivisionError("no ground")
        return 1

    sweeps.add("look", _MINUTE, look)
    assert sweeps.run("look") == 0
    assert sweeps.states()[0]["error"] == "ZeroDivisionError: no ground"
    assert sweeps.states()[0]["ended_ms"] is None
    broken.clear()
    assert sweeps.run("look") == 1
    assert sweeps.states() == [
        {"name": "look", "interval_ms": 60_000, "ended_ms": _NOON_MS, "did": 1, "error": None},
    ]


def test_a_message_of_periodiq_runs_it_in_a_worker(broker, start_worker) -> None:
    ran, sweeps = threading.Event(), Sweeps(broker)
    sweeps.add("look", _MINUTE, lambda now_ms: ran.set() or 0)
    actor = broker.get_actor("eventsys.sweep.look")
    assert actor.queue_name == SWEEP_QUEUE
    assert actor.options["periodic"] == cron("* * * * *")
    start_worker(broker)
    actor.send_with_options(scheduled_at="2026-11-25T12:00:00+00:00")
    assert ran.wait(60)


@pytest.mark.parametrize("in_the_midst", [False, True])
def test_a_sweep_that_loses_redis_is_no_dead_letter_and_runs_again(
    in_the_midst, make_broker, start_worker, fresh_redis
) -> None:
    """Redis may go as a sweep is to begin, or while it runs."""
    server = fresh_redis()
    broker = make_broker(server.url)
    lost, tried, ran = threading.Event(), threading.Event(), threading.Event()

    def lose_redis() -> None:
        if not lost.is_set():
            server.kill()
            lost.set()

    def look(now_ms: int) -> int:
        if lost.is_set():
            ran.set()
        lose_redis()
        return 7

    class LoseRedis(dramatiq.Middleware):
        def before_process_message(self, broker, message) -> None:
            if not in_the_midst:
                lose_redis()

        def after_process_message(self, broker, message, *, result=None, exception=None) -> None:
            tried.set()

    broker.add_middleware(LoseRedis())
    sweeps = Sweeps(broker)
    sweeps.add("look", _MINUTE, look)
    start_worker(broker)
    broker.get_actor("eventsys.sweep.look").send()
    assert tried.wait(60)
    server.start()
    broker.join(SWEEP_QUEUE, timeout=60_000)
    assert not broker.link.call("EXISTS", broker.keys.dead)
    assert sweeps.states()[0]["ended_ms"] is None
    true_ms = broker.clock.now_ms
    broker.clock.now_ms = lambda: true_ms() + 60_000
    broker.get_actor("eventsys.sweep.look").send()
    assert ran.wait(60)
    eventually(lambda: sweeps.states()[0]["did"] == 7)


def test_the_process_whose_poller_leads_runs_what_nobody_told_to_run(broker) -> None:
    ran, leads, sweeps = threading.Event(), threading.Event(), Sweeps(broker)
    sweeps.add("look", _MINUTE, lambda now_ms: ran.set() or 0)
    asked = threading.Semaphore(0)

    def is_leading() -> bool:
        asked.release()
        return leads.is_set()

    sweeper = Sweeper(sweeps, is_leading, look_s=0.001)
    sweeper.start()
    for _ in range(3):
        asked.acquire()
    assert not ran.is_set()
    leads.set()
    assert ran.wait(60)
    sweeper.stop()


def test_a_name_is_taken_once_and_an_interval_is_a_minute_at_least(broker) -> None:
    sweeps = Sweeps(broker)
    sweeps.add("look", _MINUTE, lambda now_ms: 0)
    with pytest.raises(SettingsError, match="two sweeps are named 'look'"):
        sweeps.add("look", _MINUTE, lambda now_ms: 0)
    with pytest.raises(SettingsError, match="at most once a minute"):
        sweeps.add("often", timedelta(seconds=1), lambda now_ms: 0)


def test_plain_dramatiq_actors_may_be_periodic_too(broker) -> None:
    @dramatiq.actor(broker=broker, periodic=cron("0 * * * *"))
    def hourly() -> None: ...

    assert hourly.options["periodic"] == cron("0 * * * *")
