"""What is asked of the history: records, pages, totals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from eventsys import (
    AlreadyFiredError,
    Event,
    EventFilter,
    EventService,
    EventStatus,
    InvalidEventError,
    NotFoundError,
    Priority,
    WaitTimeoutError,
)
from eventsys.testing import EventHarness

Work = Callable[..., Any]


@pytest.fixture
def history(harness: EventHarness) -> EventService:
    """Five events: two delivered, one failed, one unrouted, one cancelled before it fired."""
    events = harness.events

    @events.on("user.*", name="h", max_retries=0)
    def handler(event: Event) -> None:
        if event.payload.get("fails"):
            raise ValueError("no")

    events.publish("user.login", {"user_id": "1"}, source="web", id="e1")
    events.publish("user.logout", {"user_id": "1"}, source="app", id="e2", priority=Priority.HIGH)
    events.publish("user.other", {"fails": True}, source="web", id="e3")
    events.publish("order.placed", {"text": "needle"}, id="e4", correlation_id="chain")
    events.schedule("order.late", {}, delay="1h", id="e5")
    events.cancel("e5")
    harness.run()
    return events


@pytest.mark.redis62
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["e4", "e3", "e2", "e1"]),
        ({"order": "oldest"}, ["e1", "e2", "e3", "e4"]),
        ({"types": ["user.login", "user.logout"]}, ["e2", "e1"]),
        ({"types": ["user.login", "user.login"]}, ["e1"]),
        ({"types": ["user.*"]}, ["e3", "e2", "e1"]),
        ({"status": "failed"}, ["e3"]),
        ({"status": "delivered"}, ["e4", "e2", "e1"]),
        ({"status": "cancelled"}, ["e5"]),
        ({"status": "cancelled", "types": ["user.*"]}, []),
        ({"status": "pending"}, []),
        ({"sources": ["web"]}, ["e3", "e1"]),
        ({"priority": 8}, ["e2"]),
        ({"types": ["user.logout"], "priority": 5}, []),
        ({"correlation_id": "chain"}, ["e4"]),
        ({"subscription": "h"}, ["e3", "e2", "e1"]),
        ({"text": "needle"}, ["e4"]),
    ],
)
def test_a_filter_finds_what_fits(history: EventService, wanted: dict[str, Any], found: list[str]) -> None:
    page = history.get_event_records(EventFilter(**wanted))
    assert [one.id for one in page.items] == found
    assert page.total == len(found)


def test_pages_and_times_divide_the_history(events: EventService) -> None:
    for n in range(7):
        events.publish("a.b", {}, id=f"e{n}")
    page = events.get_event_records(EventFilter(page=2, page_size=3))
    assert ([one.id for one in page.items], page.total, page.pages) == (["e3", "e2", "e1"], 7, 3)
    first = events.get_event("e0").created_at
    assert events.get_event_records(EventFilter(end_time=first)).total == 0
    assert events.get_event_records(EventFilter(start_time=first)).total == 7
    assert events.get_event_records(EventFilter(start_time=first + timedelta(hours=1))).total == 0


@pytest.mark.redis62
def test_the_totals_count_each_event_once(history: EventService) -> None:
    history.schedule("a.b", {}, delay="1h")
    history.broker.link.call("DEL", history.broker.keys.subscriptions)
    totals = history.get_metrics()
    counts = {name: value for name, value in totals if name.endswith("_events") and name != "system_events"}
    assert counts == {
        "total_events": 5, "pending_events": 1, "delivered_events": 3, "failed_events": 1, "expired_events": 0,
        "cancelled_events": 1, "unrouted_events": 1,
    }  # fmt: skip


def test_an_event_that_waits_for_its_worker_is_pending(events: EventService) -> None:
    event = events.publish("a.b", {}, max_retries=7)
    record = events.get_event(event.id)
    assert (record.status, record.retry_count, record.max_retries) == (EventStatus.PENDING, 0, 7)
    with pytest.raises(WaitTimeoutError, match="still pending after 50ms"):
        events.wait(event.id, "50ms")
    with pytest.raises(NotFoundError):
        events.get_event("nothing")


@pytest.mark.redis62
def test_a_delayed_event_is_on_record_before_it_fires_after_it_and_when_cancelled(
    events: EventService, quick_work: Work
) -> None:
    delayed = events.schedule("a.b", {"n": 1}, delay="1h")
    record = events.get_event(delayed.id)
    assert (record.status, record.delay_until, record.payload) == (EventStatus.PENDING, delayed.delay_until, {"n": 1})
    assert events.cancel(delayed.id).status is EventStatus.CANCELLED
    record = events.get_event(delayed.id)
    assert (record.status, record.delay_until) == (EventStatus.CANCELLED, delayed.delay_until)
    assert record.processed_at is not None
    with pytest.raises(NotFoundError):
        events.cancel(delayed.id)


@pytest.mark.redis62
def test_a_delayed_event_fires_on_time_and_never_early(events: EventService, quick_work: Work) -> None:
    quick_work()
    delayed = [events.schedule("a.b", {"n": n}, delay=f"{50 + 7 * n}ms", id=f"e{n}") for n in range(10)]
    for one in delayed:
        record = events.wait(one.id)
        assert record.delay_until == one.delay_until
        link, keys = events.broker.link, events.broker.keys
        fired_ms = int(link.call("HGET", keys.record(one.id), "log").partition(b":")[2].partition(b"-")[0])
        assert fired_ms >= one.delay_until.timestamp() * 1000
        assert fired_ms < one.delay_until.timestamp() * 1000 + 10_000
    with pytest.raises(AlreadyFiredError):
        events.cancel("e0")


@pytest.mark.parametrize(
    "given", [{}, {"delay": "1s", "at": 1}, {"at": "tomorrow"}, {"delay": "4000d"}, {"delay": "-1s"}]
)
def test_a_time_that_will_not_do_is_refused(events: EventService, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        events.schedule("a.b", {}, **given)
    assert issubclass(InvalidEventError, ValueError)
    assert events.get_metrics().pending_events == 0


def test_an_aware_time_is_taken_and_a_past_one_refused(events: EventService) -> None:
    now = events.broker.clock.now()
    assert events.schedule("a.b", {}, at=now + timedelta(hours=1)).delay_until > now
    with pytest.raises(InvalidEventError, match="is past"):
        events.schedule("a.b", {}, at=now - timedelta(seconds=1))
    with pytest.raises(InvalidEventError, match="no time zone"):
        events.schedule("a.b", {}, at=now.replace(tzinfo=None))


def test_the_id_of_a_cancelled_event_can_be_used_again(harness: EventHarness) -> None:
    events = harness.events
    events.schedule("a.b", {"n": 1}, id="mine", delay="1h")
    events.cancel("mine")
    events.schedule("a.b", {"n": 2}, id="mine", delay="20m")
    assert harness.finish("mine").status is EventStatus.DELIVERED
    assert events.get_event("mine").payload == {"n": 2}
    events.schedule("a.b", {"n": 3}, id="other", delay="1h")
    events.cancel("other")
    events.publish("a.b", {"n": 4}, id="other")
    assert harness.finish("other").status is EventStatus.DELIVERED
    assert events.get_event_records(EventFilter(status=EventStatus.CANCELLED)).total == 0
