"""Under a harness, things happen at their time, by the same code as in a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import dramatiq
import pytest

from eventsys import (
    Event,
    EventService,
    EventStatus,
    InlineHandlerError,
    InvalidDurationError,
    InvalidEventError,
    NotFoundError,
    Priority,
    Reject,
    Retry,
    WaitTimeoutError,
)
from eventsys.clock import from_ms, to_ms
from eventsys.testing import EventHarness
from tests.conftest import NOWHERE

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def events(harness: EventHarness) -> EventService:
    return harness.events


def test_nothing_is_handled_before_the_test_says_so(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    event = harness.publish("a.b", {})
    assert events.get_event(event.id).status is EventStatus.PENDING
    assert [one.kind for one in harness.pending()] == ["event"]
    [delivery] = harness.run()
    assert (delivery.subscription, delivery.event.id, delivery.attempt) == ("h", event.id, 1)
    assert events.get_event(event.id).status is EventStatus.DELIVERED
    assert harness.pending() == []


def test_the_clock_stands_at_the_due_time_while_a_handler_runs(harness: EventHarness, events: EventService) -> None:
    seen: list[tuple[int, datetime]] = []
    events.on("a.b", name="h")(lambda event: seen.append((event.payload["n"], harness.now)))
    began = harness.now
    for n, delay in enumerate(["2h", "1ms", "90d", "2h", "1s"]):
        harness.schedule("a.b", {"n": n}, delay=delay)
    harness.advance(days=91)
    waits = [
        timedelta(milliseconds=1),
        timedelta(seconds=1),
        timedelta(hours=2),
        timedelta(hours=2),
        timedelta(days=90),
    ]
    assert seen == [(n, began + wait) for n, wait in zip([1, 4, 0, 3, 2], waits, strict=True)]
    assert harness.now == began + timedelta(days=91)


def test_a_millisecond_early_nothing_has_fired(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    harness.schedule("a.b", {}, delay="24h")
    harness.advance(timedelta(hours=24) - timedelta(milliseconds=1))
    assert not harness.delivered("a.b")
    assert harness.advance(milliseconds=1)


def test_a_clock_turned_to_a_due_time_has_it_fired_whatever_part_of_a_millisecond_it_has(
    harness: EventHarness, events: EventService
) -> None:
    """The clock was turned to the millisecond before, and what is due is due in the one behind."""
    events.on("a.b", name="h")(lambda event: None)
    moment = harness.now + timedelta(microseconds=60_000_001)
    harness.schedule("a.b", {}, at=moment)
    assert len(harness.advance_to(moment)) == 1
    harness.schedule("a.b", {}, delay=timedelta(microseconds=500))
    assert len(harness.advance(timedelta(microseconds=500))) == 1
    with EventHarness(EventService(redis_url=NOWHERE), start=moment) as other:
        other.events.on("a.b", name="h")(lambda event: None)
        other.schedule("a.b", {}, at=moment)
        assert len(other.run()) == 1


def test_what_handlers_schedule_inside_the_window_runs_in_it(harness: EventHarness, events: EventService) -> None:
    seen: list[datetime] = []

    @events.on("a.b", name="h")
    def handler(event: Event) -> None:
        seen.append(harness.now)
        events.schedule("a.b", {}, delay="10m")

    harness.publish("a.b", {})
    began = harness.now
    harness.advance("1h")
    assert seen == [began + timedelta(minutes=10 * n) for n in range(7)]
    assert [one.due for one in harness.pending()] == [began + timedelta(minutes=70)]


def test_priority_decides_among_what_is_due_at_one_moment(harness: EventHarness, events: EventService) -> None:
    seen: list[str] = []
    events.on("a.b", name="h")(lambda event: seen.append(event.payload["name"]))
    for priority in (Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.HIGH):
        harness.schedule("a.b", {"name": priority.name}, delay="1h", priority=priority)
    harness.advance(hours=1)
    assert seen == ["CRITICAL", "HIGH", "NORMAL", "LOW"]


def test_retries_come_at_their_time_with_backoff(harness: EventHarness, events: EventService) -> None:
    seen: list[timedelta] = []
    began = harness.now

    @events.on("a.b", name="h", max_retries=4, retry_delay="1m", backoff="exponential")
    def handler(event: Event) -> None:
        seen.append(harness.now - began)
        raise ValueError("always")

    record = harness.finish(harness.publish("a.b", {}))
    waits = [later - earlier for earlier, later in pairwise(seen)]
    for wait, longest in zip(waits, [1, 2, 4, 8], strict=True):
        assert timedelta(minutes=0.8 * longest) <= wait <= timedelta(minutes=longest)
    assert (record.status, record.retry_count) == (EventStatus.FAILED, 4)
    [letter] = harness.dead_letters("h")
    assert (letter.reason, letter.error, letter.attempts) == ("failed", "ValueError: always", 5)
    assert letter.died_at == harness.now == began + seen[-1]


def test_a_retry_and_a_rejection_take_their_course(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h")
    def handler(event: Event) -> None:
        if not harness.attempts("h"):
            raise Retry("not yet", delay="3h")
        raise Reject("no such user")

    harness.publish("a.b", {})
    harness.run(raise_errors=True)  # the wish for another attempt is no error
    assert [one.kind for one in harness.pending("h")] == ["retry"]
    harness.advance("3h")
    assert [one.reason for one in harness.dead_letters("a.b")] == ["rejected"]


def test_what_a_handler_publishes_goes_with_its_success_only(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h", retry_delay="1m")
    def handler(event: Event) -> None:
        events.publish("c.d", {"attempt": len(harness.attempts("h")) + 1})
        if not harness.attempts("h"):
            raise ValueError

    events.on("c.d", name="next")(lambda event: None)
    first = harness.publish("a.b", {})
    harness.run()
    assert not harness.attempts("next")
    harness.advance("1m")
    [delivery] = harness.delivered("next")
    assert (delivery.event.payload, delivery.event.causation_id) == ({"attempt": 2}, first.id)


def test_plain_actors_and_inline_handlers_take_part(harness: EventHarness, events: EventService) -> None:
    actor = dramatiq.actor(lambda n: None, actor_name="plain", broker=events.broker)

    @events.on("a.b", name="inline", async_=False)
    def inline(event: Event) -> None:
        if event.payload.get("fails"):
            raise ValueError

    actor.send_with_options(args=(1,), delay=3_600_000)
    harness.publish("a.b", {})
    assert harness.delivered("inline")
    with pytest.raises(InlineHandlerError):
        harness.publish("a.b", {"fails": True})
    assert not harness.delivered("plain")
    harness.advance("1h")
    assert harness.delivered("plain")


def test_a_handler_subscribed_at_run_time_needs_no_start(harness: EventHarness, events: EventService) -> None:
    events.subscribe("a.b", lambda event: None, name="h")
    events.start()
    harness.publish("a.b", {})
    harness.run()
    assert harness.delivered("h")
    harness.publish("a.b", {})
    events.unsubscribe("a.b", "h")
    harness.run()
    assert len(harness.attempts("h")) == 1


def test_buffered_events_are_sent_first(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    receipts = [events.publish_async("a.b", {"n": n}) for n in range(20)]
    harness.run()
    assert [one["n"] for one in harness.delivered("h").payloads] == list(range(20))
    assert all(receipt.result(timeout=60) for receipt in receipts)


def test_wait_turns_the_clock(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    delayed = harness.schedule("a.b", {}, delay="20s")
    with pytest.raises(WaitTimeoutError, match="still pending"):
        events.wait(delayed.id, "19s")
    assert events.wait(delayed.id, "1s").status is EventStatus.DELIVERED


def test_the_start_can_be_chosen_and_the_clock_only_goes_on(harness_redis: Any) -> None:
    events = EventService(redis_url=NOWHERE, app="tests")
    with EventHarness(events, start=START, redis=harness_redis) as harness:
        assert harness.now == START == harness.publish("a.b", {}).time
        harness.advance_to(START + timedelta(days=1))
        assert harness.now == START + timedelta(days=1)
        with pytest.raises(InvalidEventError, match="has passed"):
            harness.advance_to(START)
        with pytest.raises(InvalidEventError, match="aware"):
            harness.advance_to(datetime(2030, 1, 1))  # noqa: DTZ001
        with pytest.raises(InvalidDurationError):
            harness.advance("1h", hours=1)


def test_leases_keep_real_time(harness: EventHarness, events: EventService) -> None:
    clock = events.broker.clock
    harness.advance(days=3650)
    assert clock.real_ms() < to_ms(harness.now) - 3_600_000
    lease_end = events.broker.link.call("ZSCORE", events.broker.keys.processes, events.broker.presence.name)
    assert abs(float(lease_end) - clock.real_ms()) < 60_000


def test_cancelled_events_never_come(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    kept, gone = harness.schedule("a.b", {}, delay="1h"), harness.schedule("a.b", {}, delay="1h")
    events.cancel(gone.id)
    harness.advance("2h")
    assert [one.id for one in harness.delivered("a.b").events] == [kept.id]
    with pytest.raises(NotFoundError):
        harness.finish("unknown")


def test_cron_tasks_tick_at_their_time(harness: EventHarness, events: EventService) -> None:
    ticks: list[datetime] = []
    events.on("hour.struck", name="h")(lambda event: ticks.append(harness.now))
    events.cron("30 2 * * *", name="nightly", timezone="Europe/Berlin")(lambda: ticks.append(harness.now))
    events.cron.create("hourly", "0 * * * *", "hour.struck")
    midnight = harness.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    harness.advance_to(midnight)
    ticks.clear()
    harness.advance(days=1)
    hours = [midnight + timedelta(hours=hour) for hour in range(1, 25)]
    assert [tick for tick in ticks if tick.minute == 0] == hours
    assert [tick.minute for tick in ticks if tick not in hours] == [30]
    assert {run.outcome for run in events.cron.history("hourly").items} == {"completed"}


def test_sweeps_run_on_the_clock_of_the_harness(harness_redis: Any) -> None:
    with EventHarness(EventService(redis_url=NOWHERE, app="tests"), start=START, redis=harness_redis) as harness:
        ran: list[datetime] = []
        harness.events.sweeps.add("own", timedelta(minutes=5), lambda now_ms: ran.append(from_ms(now_ms)) or 0)
        harness.advance("150m")
        assert ran == [START + timedelta(minutes=minutes) for minutes in (60, 120, 150)]


def test_limits_of_rate_hold_on_the_clock_of_the_harness(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h", rate="2/s")(lambda event: None)
    for _ in range(7):
        harness.publish("a.b", {})
    began = harness.now
    harness.advance("1m")
    waits = [round((one.at - began).total_seconds(), 1) for one in harness.delivered("h")]
    assert len(waits) == 7
    assert all(sum(1 for wait in waits if second <= wait < second + 1) <= 3 for second in range(4))
    assert 2 <= waits[-1] <= 4


def test_a_paused_subscription_stands_still_until_it_is_resumed(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    harness.run()
    events.subscriptions.pause("h")
    harness.publish("a.b", {})
    harness.advance("2d")
    assert not harness.attempts("h")
    events.subscriptions.resume("h")
    harness.run()
    assert len(harness.delivered("h")) == 1


def test_a_replay_keeps_its_rate_on_the_clock_of_the_harness(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    for _ in range(50):
        harness.publish("a.b", {})
    harness.run()
    replay = events.replays.replay("h", rate=10)
    harness.advance("2500ms")
    assert 20 <= len(harness.delivered("h")) - 50 <= 40
    harness.advance("1m")
    assert len(harness.delivered("h")) == 100
    assert events.replays.get(replay.id).state == "completed"


def test_what_the_system_says_is_there_when_it_is_said(harness: EventHarness) -> None:
    """No thread publishes it some time later; nor do the workers of a harness announce themselves."""
    told: list[str] = []

    @harness.events.on("system.*", name="pager")
    def page(event: Event) -> None:
        told.append(event.type)

    harness.events.bus.system.warn("disk:a", "the disk is full; empty it")
    harness.run()
    assert told == ["system.warning"]
