"""What may be said of a delayed event: its time, its key, and to whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from eventsys import Event, EventConflictError, EventFilter, EventStatus, InvalidEventError, NotFoundError, Priority


def test_a_moment_without_zone_or_in_the_past_is_refused(events, now) -> None:
    for at, said in ((datetime(2031, 1, 1), "time zone"), (now - timedelta(seconds=1), "is past")):  # noqa: DTZ001
        with pytest.raises(InvalidEventError, match=said):
            events.schedule("step.taken", {}, at=at)
        event = events.schedule("step.taken", {}, delay="1h")
        with pytest.raises(InvalidEventError, match=said):
            events.reschedule(event.id, at=at)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-12))])
def test_the_last_moment_there_is_is_refused_as_too_far_away(events, zone) -> None:
    event = events.schedule("step.taken", {}, delay="1h")
    with pytest.raises(InvalidEventError, match="ten years"):
        events.schedule("step.taken", {}, at=datetime.max.replace(tzinfo=zone))
    with pytest.raises(InvalidEventError, match="ten years"):
        events.reschedule(event.id, at=datetime.max.replace(tzinfo=zone))


def test_a_misspelt_wish_about_a_key_is_refused_and_replaces_nothing(events) -> None:
    first = events.schedule("step.taken", {}, delay="1h", key="step")
    again = {"event_type": "step.taken", "delay": "2h", "key": "step", "when_taken": "refused"}
    with pytest.raises(InvalidEventError, match="when_taken='refused'"):
        events.schedule(**again)
    with pytest.raises(InvalidEventError, match="when_taken='refused'"):
        events.delayed.schedule_many([again])
    assert events.get_delayed_event(first.id).status is EventStatus.PENDING


def test_the_scheduler_itself_has_the_short_names_too(events, now) -> None:
    kept = events.delayed.schedule("step.taken", {"n": 1}, delay="1h", priority=Priority.HIGH, max_retries=1, key="a")
    other = events.delayed.schedule("step.taken", at=now + timedelta(hours=2))
    assert events.delayed.get_delayed_event(kept.id) == kept
    assert (kept.payload, kept.priority, kept.max_retries, kept.key) == ({"n": 1}, Priority.HIGH, 1, "a")
    assert events.delayed.pending_count() == events.delayed.get_pending_count() == 2
    assert events.delayed.cancel(key="a").status is EventStatus.CANCELLED
    assert events.delayed.cancel(other.id).status is EventStatus.CANCELLED
    assert events.delayed.pending_count() == 0


@pytest.mark.parametrize("schedule", ["one", "many"])
def test_a_handler_hears_that_the_key_it_wants_is_taken(events, quick_work, schedule) -> None:
    heard = []

    @events.on("step.begun", name="steps", max_retries=0)
    def begin(event: Event) -> None:
        wanted = {"event_type": "step.taken", "delay": "2h", "key": event.payload["key"], "when_taken": "refuse"}
        for _ in range(2):
            try:
                events.delayed.schedule_many([wanted]) if schedule == "many" else events.schedule(**wanted)
            except EventConflictError as error:
                heard.append(error.event_id)

    first = events.schedule("step.taken", {}, delay="1h", key="a")
    quick_work()
    for key in ("a", "b"):
        events.wait(events.publish("step.begun", {"key": key}).id)
    kept, second = events.get_delayed_events().items
    assert kept.id == first.id
    assert heard == [first.id, first.id, second.id]


def test_of_two_that_wait_with_one_idempotency_key_the_first_to_fire_goes_out(events, poller, now) -> None:
    late, early = (events.schedule("step.taken", {}, delay=f"{n}h", idempotency_key="once") for n in (2, 1))
    taken = events.schedule("step.taken", {}, delay="3h", id="taken")
    events.publish("step.taken", {"n": 1}, id=taken.id)
    assert poller(now + timedelta(hours=4)) == 3
    records = events.get_event_records(EventFilter(types=["step.taken"], order="oldest")).items
    assert [(one.id, one.payload) for one in records] == [("taken", {"n": 1}), (early.id, {})]
    assert events.delayed.get_pending_count() == 0
    with pytest.raises(NotFoundError):
        events.get_delayed_event(late.id)
