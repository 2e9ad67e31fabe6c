"""What `store_delayed_event` keeps waits, fires and ends as what `schedule` keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from eventsys import DelayedEvent, EventFilter, EventStatus, InvalidDurationError, InvalidEventError
from eventsys.clock import to_ms

_LATER = timedelta(minutes=10)


def _made(events, **changed: Any) -> DelayedEvent[Any]:
    now = events.broker.clock.now()
    draft = events.bus.drafter.draft("step.taken", {"n": 1}).event
    made = DelayedEvent(**draft.model_dump(), delay_until=now + _LATER, created_at=now, updated_at=now)
    return made.model_copy(update=changed)


def _limit_ms(events, event_id: str) -> int:
    entry = events.store.delayed.find(event_id)
    return entry.step[8]


def test_it_is_too_late_when_the_settings_say_so(events) -> None:
    event = _made(events)
    assert events.store.store_delayed_event(event)
    scheduled = events.schedule("step.taken", {}, delay="1h")
    assert _limit_ms(events, event.id) == _limit_ms(events, scheduled.id) == 86_400_000


@pytest.mark.parametrize("hour", ["1h", 3600, timedelta(hours=1)])
def test_a_limit_is_any_duration(events, hour: Any) -> None:
    event = _made(events)
    assert events.store.store_delayed_event(event, expire_after=hour)
    assert _limit_ms(events, event.id) == 3_600_000


@pytest.mark.parametrize(("limit", "error"), [("soon", InvalidDurationError), (0, InvalidEventError)])
def test_a_limit_that_is_none_is_refused(events, limit: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="expire_after"):
        events.store.store_delayed_event(_made(events), expire_after=limit)
    assert events.delayed.get_pending_count() == 0


def test_it_waits_under_its_key_and_takes_the_place_of_another(events) -> None:
    first = events.schedule("step.taken", {}, delay="1h", key="order:1")
    second, third = _made(events, key="order:1"), _made(events, key="order:1")
    assert events.store.store_delayed_event(second)
    assert events.get_delayed_event(first.id).status is EventStatus.CANCELLED
    assert events.get_delayed_event(second.id).key == "order:1"
    assert events.store.store_delayed_event(third)
    assert [one.id for one in events.get_delayed_events().items] == [third.id]
    assert events.cancel(key="order:1").id == third.id
    assert events.delayed.get_pending_count() == 0


@pytest.mark.parametrize("key", ["", "x" * 513, 5])
def test_a_key_that_will_not_do_is_refused(events, key: Any) -> None:
    with pytest.raises(InvalidEventError, match="a key is a text of 1 to 512 letters"):
        events.store.store_delayed_event(_made(events, key=key))


def test_of_two_with_one_idempotency_key_the_first_to_fire_goes_out(events, poller, now) -> None:
    first, second = _made(events, idempotency_key="once"), _made(events, idempotency_key="once")
    for event in (first, second):
        assert events.store.store_delayed_event(event)
    poller(now + 2 * _LATER)
    fired = events.get_event_records(EventFilter(types=("step.taken",)))
    assert [one.id for one in fired.items] == [first.id]


def test_it_never_fires_a_part_of_a_millisecond_early(events) -> None:
    event = _made(events)
    event = event.model_copy(update={"delay_until": event.delay_until.replace(microsecond=1_500)})
    events.store.store_delayed_event(event)
    assert events.store.delayed.find(event.id).due_ms == to_ms(event.delay_until) + 1
