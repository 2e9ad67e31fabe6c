import contextlib
import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import TypedDict

from eventsys.errors import InvalidEventError, InvalidPayloadError, SubscriptionError
from eventsys.model import (
    Event,
    Priority,
    decode_event,
    decode_header,
    encode_event,
    encode_payload,
    header_fields,
    header_target,
)
from eventsys.model.envelope import open_event

from .strategies import events

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Login(BaseModel):
    user_id: str


class LoginRow(TypedDict):
    user_id: str


def envelope_of(event: Event) -> bytes:
    return encode_event(event, encode_payload(event.payload))


PLAIN = Event(id="e-1", type="user.login", payload={"user_id": "1"}, time=NOW)
STORED = envelope_of(PLAIN)


@given(events())
def test_what_is_stored_is_read_back_equal(event):
    envelope = envelope_of(event)
    assert decode_event(envelope, dict[str, Any]) == event
    assert decode_event(envelope.decode(), dict[str, Any]) == event
    assert header_target(envelope) == (event.id, event.type, event.priority)
    assert decode_header(envelope).chain_id == event.correlation_id


def test_who_changes_the_headers_of_an_event_changes_those_of_nobody_else():
    """One header serves the handlers of several subscriptions."""
    header = decode_header(envelope_of(PLAIN.model_copy(update={"headers": {"a": "1"}})))
    open_event(header, dict).headers["a"] = "2"
    assert open_event(header, dict).headers == {"a": "1"}


def test_defaults_take_no_room():
    assert STORED == b'{"id":"e-1","type":"user.login","time":"2026-01-31T12:00:00Z","payload":{"user_id":"1"}}'


def test_a_typed_event_is_the_one_that_pydantic_would_make():
    """The unchecked assembly differs in nothing that can be seen from a validated event."""
    decoded = decode_event(STORED, Login)
    validated = Event[Login](id="e-1", type="user.login", payload=Login(user_id="1"), time=NOW)
    assert decoded == validated
    assert type(decoded) is type(validated)
    assert repr(decoded) == repr(validated)
    assert decoded.model_dump_json() == validated.model_dump_json()
    assert decoded.model_copy(update={"source": "x"}) == validated.model_copy(update={"source": "x"})
    assert set(decoded.__dict__) == set(validated.__dict__)
    assert copy.deepcopy(decode_event(STORED, dict[str, Any])) == PLAIN


def test_other_types_that_pydantic_knows_can_be_asked_for():
    assert decode_event(STORED, LoginRow).payload == {"user_id": "1"}
    assert type(decode_event(STORED, dict).payload) is dict


class Unknown:
    pass


def test_a_type_that_pydantic_cannot_validate_is_refused():
    with pytest.raises(SubscriptionError, match="Unknown cannot be a payload"):
        decode_event(STORED, Unknown)


def test_a_replay_is_marked():
    assert decode_event(STORED, dict[str, Any], is_replay=True).is_replay


def test_a_time_with_another_zone_is_turned_into_utc():
    event = decode_event(STORED.replace(b"12:00:00Z", b"14:00:00+02:00"), dict[str, Any])
    assert event.time == NOW
    assert event.time.tzinfo is UTC


@pytest.mark.parametrize("payload", [b'{"user_id":5}', b"{}", b"[]", b"5", b"null"])
def test_a_payload_that_does_not_fit_is_refused_in_one_line(payload):
    with pytest.raises(
        InvalidPayloadError, match=r"^.*e-1 \(user.login\) does not fit Login: .*(Input should be|Field required).*$"
    ) as raised:
        decode_event(STORED.replace(b'{"user_id":"1"}', payload), Login)
    assert "\n" not in str(raised.value)
    assert "https:" not in str(raised.value)


@pytest.mark.parametrize("payload", [b"[]", b"5", b'"x"', b"null"])
def test_a_payload_that_is_no_object_is_refused(payload):
    envelope = STORED.replace(b'{"user_id":"1"}', payload)
    with pytest.raises(InvalidPayloadError):
        decode_event(envelope, dict[str, Any])
    with pytest.raises(InvalidPayloadError):
        header_fields(decode_header(envelope))


@pytest.mark.parametrize(
    "broken",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", STORED[:-1], STORED + b"x", "\ud800"),
        *(STORED.replace(b'"%s"' % name, b'"other"') for name in (b"id", b"type", b"time", b"payload")),
        *(
            STORED[:-1] + b',"%s}' % field
            for field in (b'priority":3', b'headers":{"a":1}', b'version":0', b'depth":-1')
        ),
        STORED[:-1] + b',"source":5}',
        STORED.replace(b'"e-1"', b'""'),
        STORED.replace(b"Z", b""),
        STORED.replace(b"user.login", b"User Login"),
        STORED.replace(b'"1"', b"NaN"),
        STORED.replace(b'"1"', b"[" * 100_000),
    ],
)
def test_bytes_that_are_no_envelope_are_refused(broken):
    with pytest.raises(InvalidEventError) as caught:
        decode_event(broken, dict[str, Any])
    assert type(caught.value) is InvalidEventError


@given(st.binary(max_size=200))
@example(b'{"format":' + b"9" * 5000 + b"}")
def test_random_bytes_raise_nothing_else(noise):
    for read in (decode_header, header_target):
        with pytest.raises(InvalidEventError):
            read(noise)


@given(st.integers(0, len(STORED) - 1), st.binary(min_size=1, max_size=3))
def test_damaged_envelopes_raise_nothing_else(place, damage):
    envelope = STORED[:place] + damage + STORED[place + 1 :]
    with contextlib.suppress(InvalidEventError):
        decode_event(envelope, Login)


@pytest.mark.parametrize("read", [decode_header, header_target])
@pytest.mark.parametrize("envelope", [b'{"format":2}', STORED[:-1] + b',"format":2}'])
def test_a_newer_format_is_refused_with_the_remedy(read, envelope):
    with pytest.raises(InvalidEventError, match=r"format 2.*upgrade eventsys"):
        read(envelope)


def test_an_error_never_shows_the_payload():
    with pytest.raises(InvalidEventError) as caught:
        decode_event(STORED.replace(b'"1"', b'"secret"').replace(b'"time"', b'"tim"'), dict[str, Any])
    assert "secret" not in str(caught.value)


@given(events())
def test_filters_see_every_field_with_its_default(event):
    fields = header_fields(decode_header(envelope_of(event)))
    assert Event.model_validate(fields) == event
    assert fields["priority"] == Priority(event.priority)
    assert msgspec.json.decode(msgspec.json.encode(fields)) == fields
