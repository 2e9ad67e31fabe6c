"""Pages of delayed events are found by counting, whatever else waits among them."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from eventsys import Event, EventFilter, Retry
from eventsys.clock import from_ms, to_ms
from eventsys.store import delayed_listing, delayed_pages
from eventsys.store.delayed_entries import Entry, Position, entries_at
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.steps import delayed_step, message_step
from tests.support.waiting import eventually

_HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def little_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find nothing that lies deep by looking at what comes before."""
    monkeypatch.setattr(delayed_listing, "MOST_SCANNED", 20)
    monkeypatch.setattr(delayed_listing, "_SCANNED_AT_ONCE", 5)


def _message(name: str, due_ms: int):
    return delayed_step(name, due_ms, 5, message_step("default", 5, {"m": name}), queue="default")


def _mixed(events, now_ms: int) -> list[Entry]:
    """Keep events and messages, some due at one instant, some in the far tier before others in the near one."""
    chance = random.Random(7)
    times = [now_ms + 60_000 * chance.randrange(1, 100) for _ in range(240)]
    events.delayed.schedule_many(
        [{"event_type": "step.taken", "payload": {}, "at": from_ms(one)} for one in times[:160]]
    )
    events.store.carry_out(now_ms, [_message(f"m{number}", one) for number, one in enumerate(times[160:])])
    events.store.delayed.promote(now_ms, now_ms + 85 * 60_000)
    near = [one for one in events.store.delayed.entries() if one.is_event and one.due_ms - now_ms > _HOUR_MS]
    for one in near[:30:3]:  # these go back to the far tier, and others that are due later stay in the near one
        events.reschedule(one.id, at=from_ms(one.due_ms))
    keys = events.broker.keys
    last, first = events.broker.link.pipeline(
        [("ZRANGE", keys.delayed_due, -1, -1, "WITHSCORES"), ("ZRANGE", keys.delayed_far_due, 0, 0, "WITHSCORES")]
    )
    assert float(last[1]) > float(first[1])
    return [one for one in events.store.delayed.entries() if one.is_event]


@pytest.mark.parametrize("size", [1, 7, 50, 200])
def test_every_page_is_found_among_retries_and_ticks(events, now, size: int) -> None:
    expected = [one.id for one in _mixed(events, to_ms(now))]
    seen = []
    for number in range(1, 160 // size + 3):
        page = events.get_delayed_events(EventFilter(page=number, page_size=size))
        assert (page.total, page.total_is_exact) == (160, True)
        assert (page.next_cursor is None) == (number * size >= 160)
        seen += [one.id for one in page.items]
    assert seen == expected


def test_due_times_bound_what_is_counted(events, now) -> None:
    now_ms = to_ms(now)
    low_ms, high_ms = now_ms + 30 * 60_000, now_ms + 80 * 60_000
    expected = [one.id for one in _mixed(events, now_ms) if low_ms <= one.due_ms < high_ms]
    span = {"start_time": from_ms(low_ms), "end_time": from_ms(high_ms)}
    seen = []
    for number in range(1, 10):
        page = events.get_delayed_events(EventFilter(page=number, page_size=20, **span))
        assert (page.total, page.total_is_exact) == (len(expected), True)
        seen += [one.id for one in page.items]
    assert seen == expected


def test_one_cron_task_hides_no_page(events) -> None:
    events.cron.create("tick", "0 0 1 1 *", "step.due")
    made = [events.schedule("step.taken", {}, delay=timedelta(minutes=number + 1)).id for number in range(60)]
    page = events.get_delayed_events(EventFilter(page=6, page_size=10))
    assert ([one.id for one in page.items], page.total) == (made[50:], 60)


def test_a_page_that_is_not_found_by_counting_leads_on(events, now, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among more messages than it is asked where they stand, a page far down has no items and a cursor."""
    monkeypatch.setattr(delayed_pages, "MOST_MESSAGES", 0)
    events.store.carry_out(to_ms(now), [_message("m", to_ms(now) + 1_000)])
    made = [events.schedule("step.taken", {}, delay=timedelta(minutes=number + 1)).id for number in range(60)]
    page = events.get_delayed_events(EventFilter(page=6, page_size=10))
    assert (page.items, page.total, page.total_is_exact) == ([], 60, True)
    seen = []
    while page.next_cursor is not None:
        page = events.get_delayed_events(EventFilter(cursor=page.next_cursor, page_size=10))
        seen += [one.id for one in page.items]
    assert seen == made[-len(seen) :]
    assert len(seen) >= 40


def test_events_that_are_due_before_a_retry_do_not_hide_it(
    events, work_once_failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed_listing, "LONGEST_SCAN_S", 0)
    event = work_once_failing()
    events.delayed.schedule_many([{"event_type": "step.taken", "payload": {}, "delay": "1m"} for _ in range(60)])
    page = events.delayed.get_waiting_retries()
    assert ([one.event.id for one in page.items], page.total, page.total_is_exact) == ([event.id], 1, True)


@pytest.mark.parametrize(("seconds", "most"), [(60, 20), (0, 5)])
def test_a_look_for_retries_among_too_much_else_ends_and_says_how_to_go_on(
    events, work_once_failing, monkeypatch: pytest.MonkeyPatch, seconds: int, most: int
) -> None:
    """Where it is not asked where the messages stand: what is read for an answer is bounded, by number and by time."""
    monkeypatch.setattr(delayed_pages, "MOST_MESSAGES", 0)
    monkeypatch.setattr(delayed_listing, "LONGEST_SCAN_S", seconds)
    looked_at: list[Position] = []

    def counted(link: Link, keys: Keys, wanted: list[Position]) -> list[tuple[Position, Entry]]:
        looked_at.extend(wanted)
        return entries_at(link, keys, wanted)

    monkeypatch.setattr(delayed_listing, "entries_at", counted)
    event = work_once_failing()
    events.delayed.schedule_many([{"event_type": "step.taken", "payload": {}, "delay": "1m"} for _ in range(60)])
    looked_at.clear()
    page = events.delayed.get_waiting_retries(page_size=1)
    assert len(looked_at) == most
    assert (page.items, page.total, page.total_is_exact) == ([], 0, False)
    while page.next_cursor is not None:
        looked_at.clear()
        page = events.delayed.get_waiting_retries(page_size=1, cursor=page.next_cursor)
        assert len(looked_at) <= most
    assert ([one.event.id for one in page.items], page.total, page.total_is_exact) == ([event.id], 1, False)


@pytest.mark.parametrize("most", [10_000, 0])
def test_retries_go_on_by_cursor_wherever_they_are_found(
    events, quick_work, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(delayed_pages, "MOST_MESSAGES", most)

    @events.on("order.placed", name="fails")
    def fails(event: Event) -> None:
        raise Retry("not now", delay="1h")

    quick_work()
    made = {one.id for one in events.publish_many([("order.placed", {})] * 7)}
    eventually(lambda: events.broker.link.call("SCARD", events.broker.keys.delayed_messages) == 7)
    page = events.delayed.get_waiting_retries(page_size=3)
    assert (len(page.items), page.total, page.total_is_exact) == (3, 7, True)
    seen = [one.event.id for one in page.items]
    while page.next_cursor is not None:
        page = events.delayed.get_waiting_retries(page_size=3, cursor=page.next_cursor)
        seen += [one.event.id for one in page.items]
    assert (len(seen), set(seen)) == (7, made)
    assert events.delayed.get_waiting_retries(page=3, page_size=3).next_cursor is None


def test_what_is_no_event_is_listed_for_as_long_as_it_waits(events, now, work_once_failing) -> None:
    link, keys = events.broker.link, events.broker.keys
    event = work_once_failing()
    events.cron.create("tick", "0 0 1 1 *", "step.due")
    events.store.carry_out(to_ms(now), [_message("m", to_ms(now) + 2 * _HOUR_MS)])
    events.schedule("step.taken", {}, delay="1h")
    assert link.call("SCARD", keys.delayed_messages) == 3
    events.cron.delete("tick")
    events.delayed.cancel_delivery(event.id, "fails")
    assert link.call("SCARD", keys.delayed_messages) == 1
    events.broker.flush("default")
    eventually(lambda: link.call("EXISTS", keys.delayed_messages) == 0)
