import pytest
from hypothesis import given
from pydantic import BaseModel
from pydantic_core import to_json

from eventsys.clock import from_ms, to_ms
from eventsys.errors import InvalidEventError
from eventsys.model import Event, Priority, new_event
from eventsys.model.cloudevents import from_cloudevent, to_cloudevent
from eventsys.model.envelope import decode_event, encode_event

from .strategies import events

NOW_MS = 1_769_860_800_123


class Login(BaseModel):
    user_id: str


@given(events())
def test_a_new_event_is_the_one_that_pydantic_would_make(event):
    said = event.model_dump(exclude={"id", "type", "payload", "time"})
    now_ms = to_ms(event.time)
    made = new_event(event.type, event.payload, now_ms=now_ms, event_id=event.id, **said)
    expected = event.model_copy(update={"time": from_ms(now_ms)})
    assert made == expected
    assert made.model_dump_json() == expected.model_dump_json()


def test_what_is_left_out_has_the_defaults_and_a_new_id():
    made = new_event("user.login", {"user_id": "1"}, now_ms=NOW_MS)
    assert made == Event(id=made.id, type="user.login", payload={"user_id": "1"}, time=from_ms(NOW_MS))
    assert made.correlation_id == made.id
    assert made.id != new_event("user.login", {}, now_ms=NOW_MS).id


def test_a_model_makes_a_typed_event():
    made = new_event("user.login", Login(user_id="1"), now_ms=NOW_MS)
    assert type(made) is Event[Login]


def test_a_plain_number_becomes_a_priority():
    assert new_event("a.b", {}, now_ms=NOW_MS, priority=8).priority is Priority.HIGH


def test_headers_are_copied():
    headers = {"a": "b"}
    made = new_event("a.b", {}, now_ms=NOW_MS, headers=headers)
    headers["a"] = "c"
    assert made.headers == {"a": "b"}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"event_id": ""}, "event id"),
        ({"event_id": "."}, "event id '.' means a folder where an address ends with it"),
        ({"event_id": ".."}, "event id '..' means a folder"),
        ({"source": 5}, "source is text"),
        ({"source": "s" * 513}, "source has 513 characters, and may have at most 512"),
        ({"source": "\ud800"}, "source .* has a lone surrogate"),
        ({"version": 0}, "whole number from 1"),
        ({"version": True}, "whole number from 1"),
        ({"version": "2"}, "whole number from 1"),
        ({"depth": -1}, "whole number from 0"),
        ({"priority": 3}, r"1 \(LOW\), 5 \(NORMAL\)"),
        ({"priority": "high"}, "priority 'high' is unknown"),
        ({"correlation_id": "a b"}, "correlation_id"),
        ({"causation_id": ""}, "causation_id"),
        ({"headers": ["a"]}, "headers are a dictionary"),
        ({"headers": {"a": 1}}, "header 'a' is text"),
        ({"headers": {1: "a"}}, "header's name is text"),
        ({"headers": {"a": "\udfff"}}, "header 'a' .* lone surrogate"),
        ({"headers": {"": "a"}}, "a header's name has 0 characters, and must have 1 to 128"),
        ({"headers": {"n" * 129: "a"}}, "a header's name has 129 characters, and must have 1 to 128: 'nnn"),
        ({"headers": {"a": "v" * 8_193}}, "header 'a' has 8,193 characters, and may have at most 8,192"),
        ({"headers": {"traceparent": "v" * 8_193}}, "header 'traceparent' has 8,193 characters"),
        ({"headers": {str(number): "" for number in range(65)}}, "has 65 headers, and may have at most 64"),
        ({"headers": {"a": "v" * 8_192, "b": "v" * 8_191}}, "16,385 characters with their names, .* at most 16,384"),
        ({"idempotency_key": 5}, "idempotency_key is text"),
        ({"idempotency_key": ""}, "idempotency_key has 0 characters"),
        ({"idempotency_key": "k" * 513}, "idempotency_key has 513 characters"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wrong, reason):
    with pytest.raises(InvalidEventError, match=reason):
        new_event("a.b", {}, now_ms=NOW_MS, **wrong)


@pytest.mark.parametrize(
    "long",
    [
        {"source": "é" * 512},
        {"headers": {"n" * 128: "é" * 8_192}},
        {"headers": {f"{number:03}": "v" * 253 for number in range(64)}},
        {"headers": {f"{number:03}": "v" * 253 for number in range(64)} | {"traceparent": "t", "eventsys-secret": "s"}},
    ],
    ids=["source", "one header", "all headers", "those that are not counted"],
)
def test_the_longest_that_can_be_is_taken_and_comes_back_from_what_is_stored_and_from_a_cloudevent(long):
    made = new_event("a.b", {}, now_ms=NOW_MS, **long)
    assert decode_event(encode_event(made, b"{}"), dict) == made == Event.model_validate(made.model_dump())
    assert from_cloudevent(to_json(to_cloudevent(made))) == made


def test_an_id_that_is_stored_already_is_read_whatever_is_refused_now():
    made = new_event("a.b", {}, now_ms=NOW_MS).model_copy(update={"id": "..", "correlation_id": ".."})
    assert decode_event(encode_event(made, b"{}"), dict) == made == Event.model_validate(made.model_dump())


def test_a_wrong_type_is_refused():
    with pytest.raises(InvalidEventError, match=r"did you mean 'user\.login'"):
        new_event("User.Login", {}, now_ms=NOW_MS)
