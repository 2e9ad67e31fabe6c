"""The doctor names the cause of what is wrong, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import dramatiq
import pytest
import redis
from periodiq import cron

from eventsys import Event, EventService
from eventsys.clock import to_ms
from eventsys.model.diagnosis import Severity
from eventsys.runtime.doctor import examine
from eventsys.store.scripts import script
from eventsys.store.steps import delayed_step, message_step, packed
from tests.runtime.findings import finding
from tests.support.services import Services
from tests.support.waiting import eventually


def test_a_bus_that_is_well_has_no_problem_and_every_check_says_so(services: Services, events: EventService) -> None:
    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        pass

    services.work(events)
    event = events.publish("order.paid", {})
    events.wait(event.id, "60s")
    eventually(lambda: finding(events, "subscriptions").severity is Severity.OK)
    diagnosis = examine(events)
    assert diagnosis.is_healthy
    wrong = [one.check for one in diagnosis.findings if one.severity is not Severity.OK]
    # The oldest Redis, what other tests did, and a machine that does much else.
    assert set(wrong) <= {"redis.version", "redis.slow", "redis.distance"}


def test_a_redis_that_is_away_is_the_one_thing_told(services: Services) -> None:
    [only] = examine(services.make(redis_url="redis://127.0.0.1:1")).findings
    assert (only.check, only.severity) == ("redis.reached", Severity.PROBLEM)
    assert "--redis-url" in (only.remedy or "")


@pytest.mark.parametrize(
    ("setting", "value", "check", "said"),
    [
        ("appendonly", "no", "redis.persistence", "a crash of Redis loses events"),
        ("maxmemory-policy", "allkeys-lru", "redis.policy", "would delete events in silence"),
        ("maxmemory", "1", "redis.memory", "publishing is refused"),
    ],
)
def test_a_redis_that_loses_events_is_a_problem(
    fresh_redis: Callable[[], Any], services: Services, setting: str, value: str, check: str, said: str
) -> None:
    server = fresh_redis()
    with redis.Redis.from_url(server.url) as client:
        client.config_set(setting, value)
    found = finding(services.make(redis_url=server.url), check)
    assert found.severity is Severity.PROBLEM
    assert said in found.said


def test_a_replica_is_a_problem(fresh_redis: Callable[[], Any], services: Services) -> None:
    server = fresh_redis()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert finding(services.make(redis_url=server.url), "redis.role").severity is Severity.PROBLEM


def test_messages_that_nobody_reads_are_a_problem_that_names_the_queue(events: EventService) -> None:
    events.publish("order.paid", {})
    found = finding(events, "queue.readers")
    assert found.severity is Severity.PROBLEM
    assert found.said == "1 message waits on the event log and no process reads it"
    assert "--queues eventsys.log" not in (found.remedy or ""), "such a worker would run no handler"
    assert finding(events, "workers").severity is Severity.PROBLEM


def test_a_misspelt_type_is_told_with_the_one_that_was_meant(events: EventService) -> None:
    @events.on("order.placed", name="ship")
    def ship(event: Event) -> None:
        pass

    events.publish("order.plcaed", {})
    assert "nobody subscribes to 'order.plcaed' (did you mean 'order.placed'?)" in finding(events, "events.types").said

    @events.on("#", name="trail")
    def trail(event: Event) -> None:
        pass

    events.publish("something.else", {})
    said = finding(events, "events.types").said
    assert "nobody but those who take everything subscribes to 'order.plcaed'" in said
    assert "something.else" not in said


def test_a_subscription_whose_worker_does_not_run_is_named(services: Services, events: EventService) -> None:
    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        pass

    event = events.publish("order.paid", {})
    found = finding(events, "subscriptions")
    assert (found.severity, "ship" in found.said) == (Severity.WARNING, True)
    services.work(events)
    events.wait(event.id, "60s")
    eventually(lambda: finding(events, "subscriptions").said == "the only subscription runs")
    events.subscriptions.pause("ship")
    found = finding(events, "subscriptions")
    assert found.said == "ship paused by hand; 0 deliveries wait"
    assert found.remedy == "let them go on: eventsys subs resume NAME"


def test_a_delayed_entry_that_nobody_lets_go_is_a_problem(events: EventService) -> None:
    now_ms = events.broker.clock.now_ms()
    events.broker.clock.turn_to(now_ms)
    step = delayed_step("late", now_ms - 60_000, 5, message_step("default", 5, {"m": "late"}), queue="default")
    events.broker.link.run(script("add"), events.broker.keys.prefix, now_ms, packed(step))
    found = finding(events, "poller")
    assert found.severity is Severity.PROBLEM
    assert "overdue, the first by 60 s; no poller leads" in found.said


def test_an_entry_that_nobody_promoted_before_it_was_due_is_overdue_too(events: EventService) -> None:
    """Without a worker it stays in the far tier, whose head nobody moves."""
    events.broker.clock.turn_to(events.broker.clock.now_ms())
    event = events.schedule("order.due", {}, delay="2h")
    assert finding(events, "poller").severity is Severity.OK
    events.broker.clock.turn_to(to_ms(event.delay_until) + 60_000)
    found = finding(events, "poller")
    assert found.severity is Severity.PROBLEM
    assert found.said == "1 delayed entry is overdue, the first by 60 s; no poller leads"
    assert events.store.metrics.gauges().oldest_due_s == 60


def test_dead_letters_are_told_with_the_newest_error(services: Services, events: EventService) -> None:
    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError("no parcels left")

    services.work(events, dramatiq.Worker)
    events.wait(events.publish("order.paid", {}).id, "60s")
    assert "1 dead letter waits for a decision; the newest is ship's: failed: RuntimeError: no parcels left" in (
        finding(events, "dead").said
    )


def test_a_dead_letter_that_was_meant_for_nobody_is_told_as_that(services: Services) -> None:
    """An event that is not signed is refused before it has a handler."""
    signed = services.make(signing_keys="k1:a-secret-of-some-length")
    services.work(signed)
    services.make(name=signed.settings.name).publish("order.paid", {})
    eventually(lambda: finding(signed, "dead").severity is Severity.WARNING)
    assert "the newest is of no handler: bad_signature: this event is not signed" in finding(signed, "dead").said


def minutes_ago(events: EventService, minutes: int) -> int:
    """Return a moment; the tick of its minute was up to a minute before."""
    return events.broker.clock.now_ms() - minutes * 60_000


def tick(events: EventService, moved: int) -> None:
    """Have a scheduler send what was due in the minute of a moment."""
    from eventsys.scheduling.ticker import Ticker

    clock = events.broker.clock
    read = clock.now_ms
    try:
        clock.now_ms = lambda: moved  # type: ignore[method-assign]
        clock.set_from = lambda *_, **__: None  # type: ignore[method-assign, assignment]
        ticker = Ticker(events.broker)
        ticker._done_ms = moved - 120_000  # it has been running for a while
        ticker.take_turn()
    finally:
        clock.now_ms = read  # type: ignore[method-assign]
        del clock.set_from


def refreshing(events: EventService) -> None:
    dramatiq.actor(lambda: None, broker=events.broker, actor_name="refresh", periodic=cron("* * * * *"))


def test_a_scheduler_that_was_never_seen_is_told_without_alarm(events: EventService) -> None:
    found = finding(events, "scheduler")
    assert (found.severity, "none was ever seen" in found.said) == (Severity.OK, True)


def test_a_scheduler_that_sends_its_ticks_is_well_and_a_second_one_is_told(
    services: Services, events: EventService
) -> None:
    refreshing(events)
    moment = minutes_ago(events, 1)
    tick(events, moment)
    assert finding(events, "scheduler").said == "it sends its ticks"
    second = services.make(name=events.settings.name)
    refreshing(second)
    tick(second, moment)
    found = finding(events, "scheduler")
    assert (found.severity, "more than one runs" in found.said) == (Severity.OK, True)


def test_periodic_actors_without_a_scheduler_are_a_problem_that_names_them(events: EventService) -> None:
    refreshing(events)
    tick(events, minutes_ago(events, 30))
    found = finding(events, "scheduler")
    assert found.severity is Severity.PROBLEM
    assert re.fullmatch("none has sent a tick for 3[01] minutes: refresh stand still", found.said)
    tick(events, minutes_ago(events, 1))
    assert finding(events, "scheduler").severity is Severity.OK


def test_sweeps_that_ended_before_the_clock_was_set_back_are_not_on_time(events: EventService) -> None:
    ahead_ms = events.broker.clock.now_ms() + 86_400_000
    events.broker.link.call("HSET", events.broker.keys.sweep("cron-ticks"), "ended_ms", ahead_ms)
    assert finding(events, "sweeps").said == "sweeps were not run for too long: cron-ticks"


def test_a_periodic_actor_without_a_scheduler_is_named_though_another_application_has_one(
    services: Services, events: EventService
) -> None:
    refreshing(events)
    tick(events, minutes_ago(events, 30))
    tick(services.make(name=events.settings.name), minutes_ago(events, 1))
    found = finding(events, "scheduler")
    assert found.severity is Severity.WARNING
    assert re.search(r"when they were due: refresh \(the last 3[01] m( \d+ s)? ago\)", found.said)


@pytest.mark.parametrize(
    ("fields", "last", "now", "is_missed"),
    [
        ("* * * * *", "2026-11-27T12:00", "2026-11-27T12:03", False),
        ("* * * * *", "2026-11-27T12:00", "2026-11-27T12:05", True),
        ("* * * * *", "2026-11-19T11:59", "2026-11-27T12:00", False),  # the actor is gone from the code
        ("0 9 * * *", "2026-11-26T07:00", "2026-11-27T06:59", False),  # two hours east of here
        ("0 9 * * *", "2026-11-26T07:00", "2026-11-27T07:04", True),
        ("30 9 * * mon-fri", "2026-11-27T04:00", "2026-11-30T03:59", False),  # in Mumbai
        ("30 9 * * mon-fri", "2026-11-27T04:00", "2026-11-30T04:04", True),
        ("*/5 9-17 * * *", "2026-11-26T22:55", "2026-11-27T13:59", False),  # in New York
        ("*/5 9-17 * * *", "2026-11-26T22:55", "2026-11-27T14:04", True),
        ("0 12 * * sun", "2026-11-22T12:00", "2026-11-27T12:00", False),
        ("0 12 * * sun", "2026-11-22T12:00", "2026-11-29T12:04", True),
        ("never", "2026-11-27T12:00", "2026-11-27T14:00", False),
    ],
)
def test_a_periodic_actor_is_missed_by_its_own_fields_in_whichever_zone_its_scheduler_is(
    events: EventService, fields: str, last: str, now: str, is_missed: bool
) -> None:
    last_ms, now_ms = (to_ms(datetime.fromisoformat(f"{one}+00:00")) for one in (last, now))
    keys = events.broker.keys
    events.broker.link.call("HSET", keys.periodic_last, "refresh", last_ms, "eventsys.sweep.alerts", now_ms)
    events.broker.link.call("HSET", keys.periodic_specs, "refresh", fields)
    events.broker.clock.turn_to(now_ms)
    assert ("refresh" in finding(events, "scheduler").said) is is_missed


def test_sweeps_alone_do_not_miss_a_scheduler(events: EventService) -> None:
    tick(events, minutes_ago(events, 30))
    found = finding(events, "scheduler")
    assert (found.severity, "no periodic actor misses it" in found.said) == (Severity.OK, True)


def test_when_the_first_and_the_last_of_what_waits_are_due_is_told(services: Services, events: EventService) -> None:
    """So that a delay of the wrong unit is seen."""
    assert "due at" not in finding(events, "poller").said
    first = events.schedule("order.reminder", {}, delay="10m")
    last = events.schedule("order.reminder", {}, delay="400d")
    due = [f"{one.delay_until:%Y-%m-%d %H:%M:%S} UTC" for one in (first, last)]
    assert f"the next is due at {due[0]}, the last at {due[1]}" in finding(events, "poller").said


def test_a_bus_without_subscriptions_is_not_said_to_run_them(events: EventService) -> None:
    """As after a loss of all data: there is nothing that runs."""
    found = finding(events, "subscriptions")
    assert (found.severity, found.said) == (Severity.OK, "there are no subscriptions")
