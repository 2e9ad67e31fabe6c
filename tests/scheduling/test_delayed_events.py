"""What is scheduled waits, can be found and changed while it waits, and fires once, at its time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from eventsys import (
    AlreadyFiredError,
    EventConflictError,
    EventFilter,
    EventStatus,
    InvalidEventError,
    InvalidPatternError,
    NotFoundError,
    PartialPublishError,
    Priority,
)
from eventsys.clock import to_ms
from eventsys.store import delayed_listing

_HOUR = timedelta(hours=1)


def _tiers(events) -> tuple[int, int]:
    keys = events.broker.keys
    near, far = events.broker.link.pipeline([("ZCARD", keys.delayed_due), ("ZCARD", keys.delayed_far_due)])
    return near, far


def _log(events) -> list[str]:
    return [entry.id for entry in events.get_event_records(EventFilter(page_size=500, order="oldest")).items]


# Two tiers


@pytest.mark.redis62
def test_what_is_due_beyond_the_hour_waits_in_the_far_tier(events) -> None:
    events.schedule("step.taken", {}, delay="59m")
    events.schedule("step.taken", {}, delay="61m")
    events.schedule("step.taken", {}, delay="3650d")
    assert _tiers(events) == (1, 2)
    assert events.delayed.get_pending_count() == 3


@pytest.mark.redis62
def test_a_sweep_promotes_what_comes_near_and_nothing_else(events, now) -> None:
    soon = [events.schedule("step.taken", {}, delay=timedelta(minutes=61 + n / 1000)) for n in range(1200)]
    later = events.schedule("step.taken", {}, delay="3h")
    moved = events.store.delayed.promote(to_ms(now), to_ms(now + timedelta(minutes=70)))
    assert moved == len(soon)
    assert _tiers(events) == (len(soon), 1)
    assert events.get_delayed_event(later.id).status is EventStatus.PENDING
    assert events.get_delayed_event(soon[0].id).delay_until == soon[0].delay_until


def test_promotion_run_twice_at_once_moves_each_entry_once(events, now) -> None:
    for _ in range(900):
        events.schedule("step.taken", {}, delay="2h")
    moved: list[int] = []
    gate = threading.Barrier(2)

    def promote() -> None:
        gate.wait()
        moved.append(events.store.delayed.promote(to_ms(now), to_ms(now + 3 * _HOUR)))

    threads = [threading.Thread(target=promote) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(moved) == 900
    assert _tiers(events) == (900, 0)


@pytest.mark.redis62
def test_what_no_sweep_promoted_fires_at_its_time_all_the_same(events, now, poller) -> None:
    far = [events.schedule("step.taken", {}, delay="2h") for _ in range(20)]
    assert poller(far[0].delay_until - timedelta(milliseconds=1)) == 0
    assert poller(far[-1].delay_until) == 20
    assert _tiers(events) == (0, 0)


def test_entries_leave_in_their_order_whatever_tier_they_are_in(events, now, poller) -> None:
    due = now + 2 * _HOUR
    wanted = []
    for number, priority in enumerate([Priority.LOW, Priority.CRITICAL, Priority.NORMAL, Priority.HIGH] * 8):
        event = events.schedule("step.taken", {}, at=due, priority=priority, id=f"event-{number}")
        wanted.append((-int(priority), number, event.id))
    events.store.delayed.promote(to_ms(now), to_ms(now + _HOUR))  # nothing is near yet
    some = [one.id for one in events.get_delayed_events(EventFilter(page_size=500)).items]
    assert some == [event_id for _, _, event_id in sorted(wanted)]
    assert poller(due) == len(wanted)
    logged = sorted(events.store.get_events(some), key=lambda record: record.created_at)
    places = [
        events.broker.link.call("HGET", events.broker.keys.record(event_id), "log").partition(b":")[2].split(b"-")
        for event_id in some
    ]
    assert len(logged) == len(wanted)
    assert places == sorted(places, key=lambda one: (int(one[0]), int(one[1])))


def test_an_event_may_wait_from_a_millisecond_to_ten_years(events, poller) -> None:
    shortest = events.schedule("step.taken", {}, delay=timedelta(milliseconds=1))
    longest = events.schedule("step.taken", {}, delay=timedelta(days=3652))
    assert longest.delay_until - shortest.delay_until > timedelta(days=3651)
    assert poller(longest.delay_until) == 2
    with pytest.raises(InvalidEventError, match="ten years at most"):
        events.schedule("step.taken", {}, delay=timedelta(days=3700))


# Cancel, reschedule, run now


@pytest.mark.redis62
@pytest.mark.parametrize("delay", ["10m", "10d"])
def test_a_cancelled_event_never_fires_and_is_returned_as_cancelled(events, poller, delay) -> None:
    event = events.schedule("step.taken", {"user": 1}, delay=delay, key="mine")
    cancelled = events.cancel(event.id)
    assert (cancelled.status, cancelled.id, cancelled.payload) == (EventStatus.CANCELLED, event.id, {"user": 1})
    assert cancelled.delay_until == event.delay_until
    assert poller(event.delay_until + _HOUR) == 0
    assert events.get_delayed_event(event.id).status is EventStatus.CANCELLED
    assert events.get_delayed_event(event.id).key == "mine"
    with pytest.raises(NotFoundError):
        events.cancel(event.id)


@pytest.mark.redis62
@pytest.mark.parametrize(("delay", "again"), [("10m", "5m"), ("10m", "2d"), ("2d", "10m"), ("2d", "3d")])
def test_a_rescheduled_event_keeps_its_id_and_fires_at_the_new_time(events, poller, delay, again) -> None:
    event = events.schedule("step.taken", {"user": 1}, delay=delay, key="mine")
    moved = events.reschedule(event.id, delay=again)
    assert (moved.id, moved.payload, moved.key) == (event.id, event.payload, "mine")
    assert moved.updated_at >= moved.created_at == event.created_at
    assert events.get_delayed_event(event.id) == moved
    assert poller(moved.delay_until - timedelta(milliseconds=1)) == 0
    assert poller(moved.delay_until) == 1
    assert events.get_event(event.id).delay_until == moved.delay_until


@pytest.mark.redis62
@pytest.mark.parametrize("delay", ["10m", "10d"])
def test_run_now_fires_before_the_time_and_once(events, poller, delay) -> None:
    event = events.schedule("step.taken", {"user": 1}, delay=delay)
    fired = events.run_now(event.id)
    assert (fired.id, fired.status) == (event.id, EventStatus.PENDING)
    assert fired.delay_until < event.delay_until
    assert poller(event.delay_until + _HOUR) == 0
    assert _log(events) == [event.id]


@pytest.mark.parametrize("change", ["reschedule", "run_now", "cancel"])
def test_what_has_fired_or_is_unknown_can_be_changed_no_more(events, poller, quick_work, change) -> None:
    changes = {"reschedule": lambda one: events.reschedule(one, delay="1h")}
    call = changes.get(change) or getattr(events, change)
    event = events.schedule("step.taken", {}, delay="1ms")
    quick_work()
    events.wait(event.id)
    with pytest.raises(AlreadyFiredError, match=event.id):
        call(event.id)
    with pytest.raises(NotFoundError, match="unheard-of"):
        call("unheard-of")


@pytest.mark.parametrize("change", ["cancel", "run_now", "reschedule"])
def test_of_a_change_and_the_poller_exactly_one_gets_each_event(events, poller, change) -> None:
    calls = {"reschedule": lambda one: events.reschedule(one, delay="9h")}
    call = calls.get(change) or getattr(events, change)
    waiting = [events.schedule("step.taken", {}, delay="1h") for _ in range(60)]
    gate, lost, won = threading.Barrier(2), [], []

    def change_all() -> None:
        gate.wait()
        for event in reversed(waiting):
            try:
                call(event.id)
            except AlreadyFiredError:
                lost.append(event.id)
            else:
                won.append(event.id)

    thread = threading.Thread(target=change_all)
    thread.start()
    gate.wait()
    fired = poller(waiting[-1].delay_until)
    thread.join()
    if change == "cancel":  # an event that fired and is not dispatched is taken back too, and counts once
        records = [events.get_event(event.id) for event in waiting]
        assert sum(record.status is EventStatus.CANCELLED for record in records) == len(won)
        assert len(won) + len(lost) == 60
    else:
        assert fired + len(won) == 60
        assert fired == len(lost)


def test_a_retry_is_no_delayed_event_to_be_moved(events, work_once_failing) -> None:
    event = work_once_failing()
    retry_id = f"{event.id}:fails"
    for call in (events.run_now, lambda one: events.reschedule(one, delay="1h")):
        with pytest.raises(NotFoundError):
            call(retry_id)
    assert events.delayed.get_pending_count() == 0
    assert events.get_delayed_events().items == []


# By key


@pytest.mark.redis62
@pytest.mark.parametrize("delays", [("1m", "2m"), ("1m", "2d"), ("2d", "1m")])
def test_a_later_event_of_the_same_key_replaces_the_one_that_waits(events, delays) -> None:
    first = events.schedule("order.reminder", {"n": 1}, delay=delays[0], key="order:42:reminder")
    second = events.schedule("order.reminder", {"n": 2}, delay=delays[1], key="order:42:reminder")
    assert events.get_event(first.id).status is EventStatus.CANCELLED
    assert [one.id for one in events.get_delayed_events().items] == [second.id]
    assert events.get_delayed_events().items[0].key == "order:42:reminder"


def test_the_same_id_under_the_same_key_replaces_itself(events) -> None:
    events.schedule("order.reminder", {"n": 1}, delay="1m", key="k", id="one")
    events.schedule("order.reminder", {"n": 2}, delay="2m", key="k", id="one")
    assert [one.payload for one in events.get_delayed_events().items] == [{"n": 2}]
    assert events.get_metrics().cancelled_events == 0


def test_a_key_that_is_taken_refuses_when_asked_to(events) -> None:
    first = events.schedule("order.reminder", {}, delay="1m", key="k", when_taken="refuse")
    with pytest.raises(EventConflictError, match=first.id) as caught:
        events.schedule("order.reminder", {}, delay="1m", key="k", when_taken="refuse")
    assert caught.value.event_id == first.id
    assert events.delayed.get_pending_count() == 1


def test_a_key_is_free_again_when_its_event_fired_or_was_cancelled(events, poller) -> None:
    first = events.schedule("order.reminder", {}, delay="1m", key="k", when_taken="refuse")
    poller(first.delay_until)
    second = events.schedule("order.reminder", {}, delay="1m", key="k", when_taken="refuse")
    assert events.cancel(key="k").id == second.id
    events.schedule("order.reminder", {}, delay="1m", key="k", when_taken="refuse")
    with pytest.raises(NotFoundError, match="'other'"):
        events.cancel(key="other")


def test_an_event_that_fired_keeps_its_key_in_its_record(events, poller) -> None:
    event = events.schedule("order.reminder", {}, delay="1m", key="k")
    poller(event.delay_until)
    assert events.get_event(event.id).key == "k"


@pytest.mark.parametrize("key", ["", "x" * 513, 7])
def test_a_key_that_will_not_do_is_refused(events, key) -> None:
    with pytest.raises(InvalidEventError, match="key="):
        events.schedule("order.reminder", {}, delay="1m", key=key)


def test_all_events_of_a_type_or_of_a_chain_are_cancelled_at_once(events) -> None:
    for number in range(1100):
        events.schedule("order.reminder", {}, delay="1m", correlation_id=f"chain-{number % 2}")
    other = events.schedule("step.taken", {}, delay="2d", correlation_id="chain-1")
    assert events.delayed.cancel_all(type="order.*", correlation_id="chain-0") == 550
    assert events.delayed.cancel_all(correlation_id="chain-1") == 551
    assert events.delayed.get_pending_count() == 0
    assert events.get_delayed_event(other.id).status is EventStatus.CANCELLED
    with pytest.raises(TypeError, match="say which events"):
        events.delayed.cancel_all()
    with pytest.raises(InvalidPatternError, match="'Order Reminder'"):
        events.delayed.cancel_all(type="Order Reminder")


def test_taking_back_a_chain_reads_nothing_of_the_others(events, monkeypatch) -> None:
    events.schedule("order.reminder", {}, delay="1h", id="root")
    for n in range(600):
        events.schedule("order.reminder", {"n": n}, delay=f"{n + 1}s", correlation_id="root" if n % 2 else f"other-{n}")
    read = []
    real = delayed_listing.find_entries
    monkeypatch.setattr(delayed_listing, "find_entries", lambda *given: read.extend(given[2]) or real(*given))
    assert events.delayed.cancel_all(correlation_id="root") == 301
    assert len(set(read)) == 301
    assert events.delayed.get_pending_count() == 300


# Many at once


def test_many_are_scheduled_in_few_round_trips(events) -> None:
    made = events.delayed.schedule_many(
        {"event_type": "step.taken", "payload": {"n": n}, "delay": timedelta(hours=n), "max_retries": 1}
        for n in range(1200)
    )
    assert events.delayed.get_pending_count() == 1200
    found = events.get_delayed_event(made[7].id)
    assert found == made[7]
    assert found.max_retries == 1


def test_of_many_that_are_scheduled_only_those_whose_id_is_taken_are_refused(events) -> None:
    events.schedule("step.taken", {}, id="waits", delay="1h")
    events.publish("step.taken", {}, id="published")
    events.cancel(events.schedule("step.taken", {}, id="cancelled", delay="1h").id)
    ids = ["a", "waits", "b", "published", "cancelled", "a", "c"]
    with pytest.raises(PartialPublishError, match="waits") as caught:
        events.delayed.schedule_many({"event_type": "step.taken", "id": one, "delay": "2h"} for one in ids)
    assert [one.id for one in caught.value.published] == ["a", "b", "cancelled", "c"]
    assert [one.id for one in caught.value.refused] == ["waits", "published", "a"]
    page = events.get_delayed_events()
    assert {one.id for one in page.items} == {"waits", "a", "b", "c", "cancelled"}
    assert page.total == 5
    assert events.get_delayed_event("cancelled").status is EventStatus.PENDING


def test_of_several_chunks_the_error_tells_all_that_is_kept_and_all_that_is_not(events) -> None:
    events.schedule("step.taken", {}, id="n550", delay="1h")
    with pytest.raises(PartialPublishError, match="n550") as caught:
        events.delayed.schedule_many({"event_type": "step.taken", "id": f"n{n}", "delay": "2h"} for n in range(1_200))
    assert [one.id for one in caught.value.refused] == ["n550", *(f"n{n}" for n in range(1_000, 1_200))]
    assert len(caught.value.published) == 999
    assert events.delayed.get_pending_count() == 1_000


def test_many_with_and_without_a_key_keep_their_order_at_one_moment(events, now) -> None:
    at = now + timedelta(minutes=5)
    many = [
        {"event_type": "step.taken", "id": f"e{n}", "at": at, "key": f"k{n}" if n % 3 == 0 else None}
        for n in range(20)
    ]  # fmt: skip
    first = {"event_type": "step.taken", "id": "first", "at": at, "priority": Priority.CRITICAL}
    events.delayed.schedule_many([*many, first])
    page = events.get_delayed_events(EventFilter(page_size=50))
    assert [one.id for one in page.items] == ["first", *(f"e{n}" for n in range(20))]


def test_one_bad_event_of_many_keeps_all_from_being_scheduled(events) -> None:
    many = [{"event_type": "step.taken", "delay": "1m"}, {"event_type": "User Login", "delay": "1m"}]
    with pytest.raises(InvalidEventError):
        events.delayed.schedule_many(many)
    assert events.delayed.get_pending_count() == 0
