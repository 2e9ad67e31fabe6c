"""What waits is listed by due time, a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eventsys import EventFilter, EventStatus, InvalidEventError, Priority
from eventsys.clock import to_ms

_HOUR = timedelta(hours=1)


def _tiers(events) -> tuple[int, int]:
    keys = events.broker.keys
    near, far = events.broker.link.pipeline([("ZCARD", keys.delayed_due), ("ZCARD", keys.delayed_far_due)])
    return near, far


def test_what_waits_is_listed_by_due_time_page_by_page_with_a_total(events) -> None:
    made = [events.schedule("step.taken", {}, delay=timedelta(minutes=3 * n + 1)) for n in range(60)]
    seen = []
    for number in range(1, 8):
        page = events.get_delayed_events(EventFilter(status=EventStatus.PENDING, page=number, page_size=10))
        assert (page.total, page.total_is_exact, page.pages) == (60, True, 6)
        seen += page.items
    assert [one.id for one in seen] == [one.id for one in made]


def test_tiers_that_overlap_are_listed_as_one(events, now) -> None:
    """An entry that no sweep promoted is due before some that are near already."""
    made = [events.schedule("step.taken", {}, at=now + timedelta(minutes=70 + n)) for n in range(30)]
    events.store.delayed.promote(to_ms(now), to_ms(now + timedelta(minutes=85, milliseconds=1)))
    for event in (made[3], made[9]):  # these two are left behind in the far tier
        events.reschedule(event.id, at=event.delay_until)
    assert _tiers(events) == (14, 16)
    for size in (1, 4, 7, 30, 50):
        seen = []
        for number in range(1, 30 // size + 2):
            seen += events.get_delayed_events(EventFilter(page=number, page_size=size)).items
        assert [one.id for one in seen] == [one.id for one in made], size


def test_a_listing_is_filtered_by_type_source_priority_and_due_time(events, now) -> None:
    for number in range(12):
        events.schedule(
            ["order.placed", "order.paid", "step.taken"][number % 3],
            {"number": number},
            source=["a", "b"][number % 2],
            priority=[Priority.LOW, Priority.HIGH][number // 6],
            at=now + timedelta(minutes=20 * number + 1),
        )

    def listed(**wanted) -> list[int]:
        return [one.payload["number"] for one in events.get_delayed_events(EventFilter(page_size=50, **wanted)).items]

    assert listed(types=["order.*"]) == [0, 1, 3, 4, 6, 7, 9, 10]
    assert listed(types=["order.paid", "step.taken"], sources=["a"]) == [2, 4, 8, 10]
    assert listed(priority=Priority.HIGH) == [6, 7, 8, 9, 10, 11]
    span = {"start_time": now + timedelta(minutes=41), "end_time": now + timedelta(minutes=81)}
    assert listed(**span) == [2, 3]
    assert listed(types=["order.#"], **span) == [3]
    assert events.get_delayed_events(EventFilter(**span)).total == 2


def test_a_cursor_leads_on_where_the_page_before_ended(events) -> None:
    made = [events.schedule("order.placed", {}, at=datetime(2031, 1, 1, tzinfo=UTC)).id for _ in range(700)]
    seen, cursor = [], None
    while True:
        page = events.get_delayed_events(EventFilter(types=["order.placed"], page_size=90, cursor=cursor))
        seen += [one.id for one in page.items]
        if page.next_cursor is None or not page.items:
            break
        cursor = page.next_cursor
        events.cancel(page.items[-1].id)  # what a cursor names may leave meanwhile
    assert seen == made
    with pytest.raises(InvalidEventError, match="next_cursor"):
        events.get_delayed_events(EventFilter(cursor="nonsense"))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (EventFilter(subscription="mail"), "waits for no subscription in particular; leave subscription out"),
        (EventFilter(subscription="mail", ids=("x",)), "leave subscription out"),
        (EventFilter(ids=("x",), cursor="1-00"), "goes on by page"),
        (EventFilter(status=EventStatus.CANCELLED, cursor="1-00"), "goes on by page"),
    ],
)
def test_what_would_not_count_is_refused(events, wanted: EventFilter, said: str) -> None:
    with pytest.raises(InvalidEventError, match=said):
        events.get_delayed_events(wanted)


def test_delayed_events_that_ended_are_listed_by_their_status(events, poller, quick_work) -> None:
    delivered = events.schedule("step.taken", {}, delay="1ms")
    cancelled = events.schedule("step.taken", {}, delay="1h")
    events.publish("step.taken", {})
    events.cancel(cancelled.id)
    quick_work()
    events.wait(delivered.id)
    for status, event in ((EventStatus.DELIVERED, delivered), (EventStatus.CANCELLED, cancelled)):
        page = events.get_delayed_events(EventFilter(status=status))
        assert [(one.id, one.status) for one in page.items] == [(event.id, status)]


def test_the_store_has_the_verbs_of_its_trade(events, poller) -> None:
    clock = events.broker.clock
    clock.turn_to(clock.now_ms())
    event = events.schedule("step.taken", {"n": 1}, delay="1h")
    again = event.model_copy(update={"id": "again", "delay_until": event.delay_until - _HOUR + timedelta(seconds=1)})
    assert events.store.store_delayed_event(again)
    assert not events.store.store_delayed_event(again)
    assert events.store.get_ready_events(50) == []
    clock.turn_to(clock.now_ms() + 1_000)
    assert [one.id for one in events.store.get_ready_events(50)] == ["again"]
    assert events.store.get_delayed_event("again").payload == {"n": 1}
    assert events.store.cancel_delayed_event("again").status is EventStatus.CANCELLED


@pytest.mark.parametrize("has_tick", [False, True])
def test_a_cursor_leads_to_the_end_and_not_beyond(events, has_tick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little time there is, and where a message stands among the events."""
    from eventsys.store import delayed_listing

    monkeypatch.setattr(delayed_listing, "LONGEST_SCAN_S", 0)
    if has_tick:
        events.cron.create("tick", "* * * * *", "step.due")
    made = [
        one.id
        for one in events.delayed.schedule_many(
            [{"event_type": "step.taken", "payload": {}, "delay": f"{n + 1}m"} for n in range(100)]
        )
    ]
    seen, cursor, sizes = [], None, []
    while cursor is not None or not sizes:
        page = events.get_delayed_events(EventFilter(page_size=50, cursor=cursor))
        assert (page.total, page.total_is_exact) == (100, True)
        seen += [one.id for one in page.items]
        sizes.append(len(page.items))
        cursor = page.next_cursor
    assert (seen, sizes) == (made, [50, 50])
