import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from pydantic import BaseModel, ValidationError

from eventsys.model import Attempt, DelayedEvent, DeliveryRecord, DeliveryStatus, Event, EventRecord, Priority

from .strategies import events

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Notification(BaseModel):
    user_id: str
    title: str = ""


def an_event(**fields) -> Event:
    return Event(**{"id": "e-1", "type": "user.login", "payload": {"user_id": "12345"}, "time": NOW, **fields})


def test_an_event_needs_four_facts_and_has_defaults_for_the_others():
    event = an_event()
    assert (event.source, event.version, event.priority, event.depth) == ("", 1, Priority.NORMAL, 0)
    assert (event.causation_id, event.headers, event.idempotency_key) == (None, {}, None)
    assert (event.is_replay, event.duplicate) == (False, False)


def test_a_chain_begins_with_the_events_own_id():
    assert an_event().correlation_id == "e-1"
    assert an_event(correlation_id="c-1").correlation_id == "c-1"


def test_an_event_never_changes_and_is_itself_in_a_set():
    event = an_event()
    with pytest.raises(ValidationError, match="frozen"):
        event.source = "other"
    assert {event, an_event()} == {event}


def test_a_typed_event_holds_a_validated_payload():
    event = Event[Notification](id="e-1", type="a.b", payload={"user_id": "1"}, time=NOW)
    assert event.payload == Notification(user_id="1")
    with pytest.raises(ValidationError, match="user_id"):
        Event[Notification](id="e-1", type="a.b", payload={}, time=NOW)


def test_time_is_held_in_utc_and_must_have_a_zone():
    summer = timezone(timedelta(hours=2))
    assert an_event(time=datetime(2026, 1, 31, 14, 0, tzinfo=summer)).time == NOW
    assert an_event(time=datetime(2026, 1, 31, 14, 0, tzinfo=summer)).time.tzinfo is UTC
    with pytest.raises(ValidationError, match="timezone"):
        an_event(time=datetime(2026, 1, 31, 12, 0))  # noqa: DTZ001


@pytest.mark.parametrize(
    "wrong",
    [
        {"correlation_id": "a b"},
        {"causation_id": ""},
        {"idempotency_key": ""},
        {"source": "s" * 513},
        {"headers": {"": "a"}},
        {"headers": {"a": "v" * 8_193}},
        {"headers": {str(number): "" for number in range(65)}},
        {"id": "a b"},
        {"type": "A.B"},
        {"priority": 3},
        {"version": 0},
        {"depth": -1},
    ],
)
def test_a_wrong_fact_is_refused_by_one_error_about_it(wrong):
    with pytest.raises(ValidationError) as caught:
        an_event(**wrong)
    assert [error["loc"][0] for error in caught.value.errors()] == list(wrong)


def test_facts_about_the_copy_are_not_written():
    assert not {"is_replay", "duplicate"} & set(an_event(is_replay=True, duplicate=True).model_dump())


@given(events())
def test_events_survive_json_and_copies(event):
    assert Event.model_validate_json(event.model_dump_json()) == event
    assert copy.deepcopy(event) == event


def test_a_delayed_event_and_a_record_survive_json():
    delayed = DelayedEvent(
        **an_event().model_dump(), delay_until=NOW + timedelta(hours=1), created_at=NOW, updated_at=NOW, key="welcome"
    )
    attempt = Attempt(number=1, status="failed", started_at=NOW, duration=timedelta(seconds=1), error="boom")
    delivery = DeliveryRecord(subscription="mail", status=DeliveryStatus.DEAD, attempts=1, history=[attempt])
    record = EventRecord(**an_event().model_dump(), created_at=NOW, updated_at=NOW, deliveries=[delivery])
    assert isinstance(delayed, Event)
    assert isinstance(record, Event)
    assert DelayedEvent.model_validate_json(delayed.model_dump_json()) == delayed
    assert EventRecord.model_validate_json(record.model_dump_json()) == record
