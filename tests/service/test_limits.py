"""Limits of rate and concurrency, kept over all processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsys import Event, EventService, EventStatus, SubscriptionError
from eventsys.store.scripts import script
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]


class Gauge:
    """Counts how many handlers run at once, and the most there ever were."""

    def __init__(self) -> None:
        self.running = self.most = self.done = 0
        self.are_three = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            if self.running == 3:
                self.are_three.set()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.running -= 1
            self.done += 1


@pytest.mark.redis62
def test_no_more_than_the_limit_run_at_once_over_two_processes(services: Services, worker_class: Any) -> None:
    gauge, pause = Gauge(), threading.Event()
    events = services.make()
    twin = services.make(name=events.settings.name)

    def handler(event: Event) -> None:
        with gauge:
            assert gauge.are_three.wait(60), "the limit was never reached"
            pause.wait(0.002)

    for one in (events, twin):
        one.on("a.b", name="h", concurrency=3)(handler)
        services.work(one, worker_class, threads=8)
    published = [events.publish("a.b", {"n": n}) for n in range(200)]
    for event in published:
        [delivery] = events.wait(event.id).deliveries
        assert delivery.attempts == 1
    assert gauge.done == 200
    assert gauge.most == 3
    standing = eventually(lambda: (now := events.subscriptions.get("h")).let_in == 0 and now)
    assert (standing.waiting, standing.let_in) == (0, 0)


def test_one_at_a_time_is_in_order(events: EventService, work: Work) -> None:
    seen: list[int] = []
    events.on("a.b", name="h", concurrency=1)(lambda event: seen.append(event.payload["n"]))
    work(threads=4)
    events.wait(events.publish("a.b", {"n": -1}).id)
    published = [events.publish("a.b", {"n": n}) for n in range(100)]
    for event in published:
        assert events.wait(event.id).status is EventStatus.DELIVERED
    assert seen == list(range(-1, 100))


def test_a_limit_holds_back_nobody_else(events: EventService, work: Work) -> None:
    goes_on, seen = threading.Event(), list[int]()
    events.on("a.b", name="held", concurrency=1)(lambda event: goes_on.wait(60))
    events.on("a.b", name="free")(lambda event: seen.append(event.payload["n"]))
    work(threads=2)
    published = [events.publish("a.b", {"n": n}) for n in range(30)]
    eventually(lambda: len(seen) == 30)
    assert events.subscriptions.get("held").let_in == 1
    goes_on.set()
    for event in published:
        assert events.wait(event.id).status is EventStatus.DELIVERED


@pytest.mark.redis62
def test_a_failed_attempt_gives_its_slot_up_and_its_retry_takes_one_again(events: EventService, work: Work) -> None:
    attempts: list[str] = []

    @events.on("a.b", name="h", concurrency=1, retry_delay="20ms")
    def handler(event: Event) -> None:
        attempts.append(event.id)
        if attempts.count(event.id) < 3:
            raise ValueError("no luck")

    work()
    published = [events.publish("a.b", {}) for _ in range(10)]
    for event in published:
        [delivery] = events.wait(event.id).deliveries
        assert delivery.attempts == 3
    eventually(lambda: events.subscriptions.get("h").let_in == 0)


def test_a_limit_that_is_declared_later_holds_for_what_is_on_the_queue(services: Services) -> None:
    gauge, pause = Gauge(), threading.Event()
    old = services.make()
    old.on("a.b", name="h")(lambda event: None)
    new = services.make(name=old.settings.name)

    @new.on("a.b", name="h", concurrency=2)
    def handler(event: Event) -> None:
        with gauge:
            pause.wait(0.002)

    old.bus.prepare()
    dispatching = services.work(old, queues={"eventsys.log"})
    published = [old.publish("a.b", {}) for _ in range(100)]
    eventually(lambda: old.broker.link.call("XLEN", old.broker.keys.lane("tests", 5)) == 100)
    services.work(new, threads=8)
    for event in published:
        assert new.wait(event.id).status is EventStatus.DELIVERED
    assert gauge.most <= 2
    assert dispatching


def _let_in(events: EventService, count: int, **limits: Any) -> list[Any]:
    """Declare `h` with these limits, and have a process hold so many deliveries that they let onto the queue."""
    events.on("a.b", name="h", **limits)(lambda event: None)
    events.bus.prepare()
    link, keys, lane = events.broker.link, events.broker.keys, events.broker.keys.lane("tests", 5)
    link.call("XGROUP", "CREATE", lane, "workers", "0", "MKSTREAM")
    for number in range(1, count + 1):
        link.call("XADD", lane, f"{number}-0", "s", "h", "e", "{}")
        link.call("ZADD", f"{keys.prefix}:slots:h", number, f"{lane}|{number}-0")
    link.call("XREADGROUP", "GROUP", "workers", "me", "STREAMS", lane, ">")
    return [part for number in range(1, count + 1) for part in ("h", lane, f"{number}-0", 0)]


@pytest.mark.redis62
@pytest.mark.parametrize("before", [{"rate": "100/s"}, {"concurrency": 10}])
def test_a_limit_that_is_lowered_holds_for_what_is_on_the_queue(services: Services, before: dict[str, Any]) -> None:
    events = services.make()
    held = _let_in(events, 10, **before)
    new = services.make(name=events.settings.name)
    new.on("a.b", name="h", concurrency=2)(lambda event: None)
    new.bus.prepare()
    link, keys, now_ms = new.broker.link, new.broker.keys, new.broker.clock.now_ms()
    assert link.run(script("admit_deliveries"), keys.prefix, now_ms, *held) == [1, 1, *[0] * 8]
    standing = new.subscriptions.get("h")
    assert (standing.let_in, standing.waiting) == (2, 8)


@pytest.mark.redis62
def test_slots_of_limits_that_were_removed_do_not_stand_in_the_way_of_others(services: Services) -> None:
    events = services.make()
    _let_in(events, 10, concurrency=10)
    for concurrency in (None, 2):
        new = services.make(name=events.settings.name)
        new.on("a.b", name="h", concurrency=concurrency)(lambda event: None)
        new.bus.prepare()
        assert new.broker.link.call("EXISTS", f"{new.broker.keys.prefix}:slots:h") == 0


@pytest.mark.redis62
def test_lost_slots_are_found_behind_those_of_deliveries_that_run_for_long(events: EventService) -> None:
    """Each look goes on where the one before ended, so the oldest do not hide the others."""
    events.on("a.b", name="h", concurrency=140)(lambda event: None)
    events.bus.prepare()
    link, keys, now_ms = events.broker.link, events.broker.keys, events.broker.clock.now_ms()
    lane, slots = keys.lane("tests", 5), f"{keys.prefix}:slots:h"
    for number in range(1, 141):
        if number <= 120:
            link.call("XADD", lane, f"{number}-0", "s", "h", "e", "{}")
        link.call("ZADD", slots, number, f"{lane}|{number}-0")
    link.call("XADD", keys.room("h", 5), "1-0", "s", "h", "e", "{}")
    link.call("SADD", f"{keys.prefix}:waiting", "h")
    moved = [link.run(script("release_waiting"), keys.prefix, now_ms + look * 5_000, "h") for look in range(3)]
    assert moved == [0, 1, 0]
    assert link.call("ZCARD", slots) == 121


@pytest.mark.redis62
def test_lost_slots_are_found_after_a_clock_was_set_back(events: EventService) -> None:
    events.on("a.b", name="h", concurrency=1)(lambda event: None)
    events.bus.prepare()
    link, keys, now_ms = events.broker.link, events.broker.keys, events.broker.clock.now_ms()
    link.call("ZADD", f"{keys.prefix}:slots:h", 1, f"{keys.lane('tests', 5)}|1-0")
    link.call("HSET", f"{keys.prefix}:gate:h", "pruned", now_ms + 3_600_000)
    link.call("XADD", keys.room("h", 5), "1-0", "s", "h", "e", "{}")
    link.call("SADD", f"{keys.prefix}:waiting", "h")
    assert link.run(script("release_waiting"), keys.prefix, now_ms, "h") == 1


def test_inside_publish_nothing_can_be_held_back(events: EventService) -> None:
    with pytest.raises(SubscriptionError, match="async_=False"):
        events.on("a.b", name="h", async_=False, rate="1/s")(lambda event: None)


@pytest.mark.parametrize("rate", ["0/s", "10", "10/d", "ten/s", "-1/s"])
def test_a_rate_that_is_none_is_refused(events: EventService, rate: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        events.on("a.b", name="h", rate=rate)(lambda event: None)


def test_what_is_over_the_rate_waits_and_comes_when_its_time_has_come(events: EventService, work: Work) -> None:
    """40 deliveries at 100 a second: the last not before 39 times 10 ms less the allowance, whenever they begin."""
    began: list[int] = []
    clock = events.broker.clock
    events.on("a.b", name="h", rate="100/s")(lambda event: began.append(clock.now_ms()))
    work(threads=4)
    before = clock.now_ms()
    for event in events.publish_many([("a.b", {})] * 40):
        [delivery] = events.wait(event.id).deliveries
        assert delivery.attempts == 1
    assert max(began) - before >= 39 * 10 - 70


@pytest.mark.redis62
def test_the_rate_holds_over_processes_and_after_a_standstill(services: Services) -> None:
    """Let go for a while to a queue that nobody reads, and then fetched all at once: the rate holds all the same."""
    events = services.make()
    events.on("a.b", name="h", rate="10/s")(lambda event: None)
    link, keys, clock = events.broker.link, events.broker.keys, events.broker.clock
    start = clock.now_ms()
    clock.turn_to(start)
    published = [events.publish("a.b", {}) for _ in range(50)]
    services.work(events, queues={"eventsys.log"})
    eventually(lambda: events.subscriptions.get("h").waiting == 49)
    for ms in range(0, 3_000, 50):
        link.run(script("claim_due"), keys.prefix, start + ms, 50)
    lane = keys.lane("tests", 5)
    assert link.call("XLEN", lane) >= 30
    link.call("XGROUP", "CREATE", lane, "workers", "0")
    [[_, entries]] = link.call("XREADGROUP", "GROUP", "workers", "me", "COUNT", 100, "STREAMS", lane, ">")
    asked = [part for entry, _ in entries for part in ("h", lane, entry, 0)]
    verdicts = link.run(script("admit_deliveries"), keys.prefix, start + 3_000, *asked)
    assert sum(verdicts) == 1
    assert link.call("XLEN", lane) == 1
    assert published


@pytest.mark.redis62
@pytest.mark.parametrize(("first", "then", "after_ms"), [("1/h", "100/s", 60_000), ("100/s", "100/s", -3_600_000)])
def test_a_rate_that_was_raised_and_a_clock_that_was_set_back_stop_nothing(
    services: Services, first: str, then: str, after_ms: int
) -> None:
    events = services.make()
    events.on("a.b", name="h", rate=first)(lambda event: None)
    link, keys, start = events.broker.link, events.broker.keys, events.broker.clock.now_ms()
    events.broker.clock.turn_to(start)
    events.publish_many([("a.b", {})] * 50)
    services.work(events, queues={"eventsys.log"})
    eventually(lambda: (standing := events.subscriptions.get("h")).waiting + standing.let_in == 50)
    lane = keys.lane("tests", 5)
    link.call("XGROUP", "CREATE", lane, "workers", "0")

    def begin(now_ms: int) -> int:
        link.run(script("release_waiting"), keys.prefix, now_ms, "h")
        read = link.call("XREADGROUP", "GROUP", "workers", "me", "COUNT", 100, "STREAMS", lane, ">") or [[lane, []]]
        asked = [part for entry, _ in read[0][1] for part in ("h", lane, entry, 0)]
        return sum(link.run(script("admit_deliveries"), keys.prefix, now_ms, *asked)) if asked else 0

    assert begin(start) >= 1
    again = services.make(name=events.settings.name)
    again.on("a.b", name="h", rate=then)(lambda event: None)
    again.bus.prepare()
    later = start + after_ms
    assert sum(begin(later + ms) for ms in range(0, 1_000, 10)) >= 20


@pytest.mark.redis62
def test_what_had_begun_in_time_loses_its_limit_where_the_rate_turns_it_away(events: EventService) -> None:
    """It was handed back by a process that ended; what had not begun there may still be too late."""
    events.on("a.b", name="h", rate="1/h")(lambda event: None)
    events.bus.prepare()
    link, keys, lane = events.broker.link, events.broker.keys, events.broker.keys.lane("tests", 5)
    link.call("XGROUP", "CREATE", lane, "workers", "0", "MKSTREAM")
    for number in (1, 2, 3):
        link.call("XADD", lane, f"{number}-0", "s", "h", "e", "{}", "x", "77")
    link.call("XREADGROUP", "GROUP", "workers", "me", "STREAMS", lane, ">")
    asked = [part for number, past in ((1, 0), (2, 2), (3, 0)) for part in ("h", lane, f"{number}-0", past)]
    now_ms = events.broker.clock.now_ms()
    assert link.run(script("admit_deliveries"), keys.prefix, now_ms, *asked) == [1, 0, 0]
    waiting = [fields[4:] for _, fields in link.call("XRANGE", keys.room("h", 5), "-", "+")]
    assert waiting == [[], [b"x", b"77"]]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 20)), min_size=1, max_size=30))
def test_in_no_span_begin_more_than_the_rate_and_the_allowance(redis_url: str, arrivals: list[tuple[int, int]]) -> None:
    """Whatever arrives when: within any second at most 20, what falls into 60 ms, and the first."""
    services = Services(redis_url)
    try:
        events = services.make()
        events.on("a.b", name="h", rate="20/s")(lambda event: None)
        events.bus.prepare()
        link, keys = events.broker.link, events.broker.keys
        lane, now, number, began = keys.lane("tests", 5), 1_800_000_000_000, 0, list[int]()
        link.call("XGROUP", "CREATE", lane, "workers", "0", "MKSTREAM")
        for wait_ms, count in arrivals:
            now += wait_ms
            asked: list[Any] = []
            for _ in range(count):
                number += 1
                link.call("XADD", lane, f"1-{number}", "s", "h", "e", "{}")
                asked += ["h", lane, f"1-{number}", 0]
            link.call("XREADGROUP", "GROUP", "workers", "me", "STREAMS", lane, ">")
            verdicts = link.run(script("admit_deliveries"), keys.prefix, now, *asked)
            began += [now] * sum(verdicts)
        for first in began:
            within = [ms for ms in began if first <= ms < first + 1_000]
            assert len(within) <= 1 + 1_060 / 50
        assert began
        assert events.subscriptions.get("h").waiting == number - len(began)
    finally:
        services.close()
