"""Each tick of a periodic actor takes effect once, however many schedulers send it, and its run is told of."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import dramatiq
import pytest
from periodiq import Scheduler, cron

from eventsys import EventFilter, EventService
from eventsys.clock import from_ms
from eventsys.middleware.periodic import MINUTE_MS, MOST_WRONG_MS, tick_of
from tests.support.proxy import CuttingProxy
from tests.support.services import Services
from tests.support.waiting import eventually

EACH_MINUTE = cron("* * * * *")


def declare(events: EventService, run: Any, **options: Any) -> Any:
    options = {"actor_name": "app.tidy", "queue_name": "plain", "periodic": EACH_MINUTE, **options}
    return dramatiq.actor(run, broker=events.broker, **options)


def waiting(events: EventService, queue: str = "plain") -> int:
    return events.broker.link.call("XLEN", events.broker.keys.lane(queue, 5))


def told(events: EventService) -> list[tuple[str, Any]]:
    types = [f"cron.task.{verb}" for verb in ("created", "updated", "executed", "completed", "failed")]
    found = events.get_event_records(EventFilter(types=types, page_size=100)).items
    return [(one.type.removeprefix("cron.task."), one.payload) for one in reversed(found)]


def this_minute(events: EventService) -> datetime:
    return from_ms(events.broker.clock.now_ms() // MINUTE_MS * MINUTE_MS)


@pytest.mark.redis62
def test_two_schedulers_in_one_minute_send_one_message(events: EventService, services: Services) -> None:
    """Both are periodiq's own; the second one wakes some seconds later, as after a restart."""
    first, second = declare(events, lambda: None), declare(services.make(name=events.settings.name), lambda: None)
    now = this_minute(events)
    Scheduler([first]).send_actors([first], now)
    Scheduler([second]).send_actors([second], now + timedelta(seconds=31))
    assert waiting(events) == 1
    Scheduler([second]).send_actors([second], now - timedelta(minutes=1))
    assert waiting(events) == 2


def test_the_same_minute_in_another_zone_is_the_same_tick(events: EventService) -> None:
    actor, now = declare(events, lambda: None), this_minute(events)
    for zone in (UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-3))):
        actor.send_with_options(scheduled_at=str(now.astimezone(zone)))
    assert waiting(events) == 1


def test_what_a_fast_clock_sends_waits_until_it_is_due(events: EventService) -> None:
    actor = declare(events, lambda: None)
    due = this_minute(events) + timedelta(minutes=5)
    actor.send_with_options(scheduled_at=str(due))
    assert waiting(events) == 0
    [(_, due_ms)] = [events.broker.link.call("ZRANGE", events.broker.keys.delayed_due, 0, -1, "WITHSCORES")]
    assert int(due_ms) == due.timestamp() * 1000
    actor.send_with_options(scheduled_at=str(due))
    assert events.broker.link.call("ZCARD", events.broker.keys.delayed_due) == 1


def test_a_clock_that_is_days_wrong_is_not_believed() -> None:
    now_ms = 30 * MINUTE_MS * 100_000 + 12_345
    minute = now_ms // MINUTE_MS * MINUTE_MS
    assert tick_of(now_ms - MOST_WRONG_MS - 1, now_ms) == minute
    assert tick_of(now_ms + MOST_WRONG_MS + 1, now_ms) == minute
    assert tick_of(now_ms - 5 * MINUTE_MS, now_ms) == minute - 5 * MINUTE_MS


def test_a_tick_whose_reply_was_lost_is_sent_once(redis_url: str, services: Services) -> None:
    proxy = CuttingProxy(redis_url)
    events = services.make(redis_url=proxy.url)
    actor = declare(events, lambda: None)
    events.broker.link.call("PING")
    proxy.lose_replies(1)
    actor.send_with_options(scheduled_at=str(this_minute(events)))
    assert proxy.lost == 1
    assert waiting(events) == 1
    events.stop()
    proxy.close()


def test_an_actor_sent_by_hand_is_no_tick(events: EventService) -> None:
    actor = declare(events, lambda: None)
    actor.send()
    actor.send()
    assert waiting(events) == 2
    assert told(events) == []


def test_a_retry_is_never_skipped_and_the_run_is_told_of_once(events: EventService, quick_work: Any) -> None:
    """The tick is five minutes old when its message is handled; periodiq's own middleware would drop it."""
    attempts = []

    def tidy() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise RuntimeError("not yet")

    actor = declare(events, tidy, max_retries=3, min_backoff=1, max_backoff=2)
    tick = this_minute(events) - timedelta(minutes=5)
    actor.send_with_options(scheduled_at=str(tick))
    quick_work()
    eventually(lambda: "completed" in [verb for verb, _ in told(events)])
    assert len(attempts) == 3
    verbs = [verb for verb, _ in told(events)]
    assert sorted(verbs) == ["completed", "created", "executed"]
    run_ids = {payload["run_id"] for verb, payload in told(events) if verb != "created"}
    assert len(run_ids) == 1
    completed = told(events)[verbs.index("completed")][1]
    assert datetime.fromisoformat(completed["scheduled_for"]) == tick


def test_the_last_failure_is_told_of(events: EventService, quick_work: Any) -> None:
    def tidy() -> None:
        raise RuntimeError("no room")

    actor = declare(events, tidy, max_retries=1, min_backoff=1, max_backoff=2)
    actor.send_with_options(scheduled_at=str(this_minute(events)))
    quick_work()
    eventually(lambda: "failed" in [verb for verb, _ in told(events)])
    [failed] = [payload for verb, payload in told(events) if verb == "failed"]
    assert failed["error"] == "RuntimeError: no room"
    assert "completed" not in [verb for verb, _ in told(events)]


def test_new_fields_of_an_actor_are_told_of_with_its_next_tick(events: EventService, services: Services) -> None:
    now = this_minute(events)
    declare(events, lambda: None).send_with_options(scheduled_at=str(now))
    after_deploy = services.make(name=events.settings.name)
    actor = declare(after_deploy, lambda: None, periodic=cron("*/2 * * * *"))
    for minutes in (1, 2):
        actor.send_with_options(scheduled_at=str(now + timedelta(minutes=minutes)))
    changes = [(verb, payload["schedule"]) for verb, payload in told(events) if verb in {"created", "updated"}]
    assert changes == [("created", "* * * * *"), ("updated", "*/2 * * * *")]


def test_what_a_run_publishes_follows_from_it(events: EventService, quick_work: Any) -> None:
    done = threading.Event()

    def tidy() -> None:
        events.publish("rows.tidied", {})
        done.set()

    actor = declare(events, tidy)
    actor.send_with_options(scheduled_at=str(this_minute(events)))
    quick_work()
    assert done.wait(60)
    published = eventually(lambda: events.get_event_records(EventFilter(types=["rows.tidied"])).items)
    [executed] = events.get_event_records(EventFilter(types=["cron.task.executed"])).items
    assert published[0].causation_id == executed.id


def test_actors_of_eventsys_itself_are_not_told_of(events: EventService, quick_work: Any) -> None:
    done = threading.Event()
    actor = declare(events, done.set, actor_name="eventsys.tidy")
    actor.send_with_options(scheduled_at=str(this_minute(events)))
    quick_work()
    assert done.wait(60)
    events.broker.join("plain", timeout=60_000)
    assert told(events) == []
