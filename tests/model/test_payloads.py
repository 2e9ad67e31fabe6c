import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, SecretStr, field_serializer
from pydantic_core import from_json

from eventsys.errors import InvalidEventError
from eventsys.model import Event, decode_event, encode_event, encode_payload

from .strategies import payloads

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Color(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 9


class Shape(Enum):
    ROUND = "round"


class Point(BaseModel):
    x: float
    y: float = 0


def back(payload: Any, **limits: int) -> dict[str, Any]:
    """What a worker finds in an event published with `payload`."""
    stored = encode_payload(payload, **limits)
    assert from_json(stored) == msgspec.json.decode(stored)
    event = Event(id="e-1", type="a.b", payload={}, time=NOW)
    return decode_event(encode_event(event, stored), dict[str, Any]).payload


def nested(levels: int) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    for _ in range(levels - 1):
        payload = {"a": payload}
    return payload


@given(payloads)
@example({"text": "\x00\x1f\u2028\U0001f600\uffff", "": ""})
@example({"numbers": [0.1, 5e-324, 1.7976931348623157e308, -0.0, 2**64, -(2**63) - 1, 10**639, -(10**639)]})
@example({"same": [True, 1, 1.0, None, False, 0]})
def test_what_is_accepted_comes_back_equal(payload):
    again = back(payload)
    assert again == payload
    assert repr(again) == repr(payload)  # 1, 1.0 and True stay apart, and keys in order


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=3)
    | st.just(10**640) | st.decimals() | st.datetimes() | st.dates() | st.uuids()
    | st.sampled_from([Color.RED, Size.BIG]) | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.sets(st.integers(), max_size=2)
    | st.dictionaries(st.text(st.characters(), max_size=3) | st.integers() | st.none(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=3), anything, max_size=3))
def test_anything_is_either_decoded_by_every_worker_or_refused(payload):
    try:
        stored = encode_payload(payload)
    except InvalidEventError:
        return
    assert msgspec.json.decode(stored) == from_json(stored)
    # Written once, it is plain JSON, and so its own image.
    assert back(msgspec.json.decode(stored)) == msgspec.json.decode(stored)


def test_values_with_a_text_form_are_written_as_pydantic_does():
    payload = {
        "at": NOW,
        "day": date(2026, 1, 31),
        "wait": timedelta(seconds=5),
        "id": UUID(int=7),
        "price": Decimal("1.10"),
        "much": Decimal("1e400"),
        "color": Color.RED,
        "size": Size.BIG,
        "shape": Shape.ROUND,
        "pair": (1, 2),
        "point": Point(x=1),
    }
    assert back(payload) == {
        "at": "2026-01-31T12:00:00Z",
        "day": "2026-01-31",
        "wait": "PT5S",
        "id": "00000000-0000-0000-0000-000000000007",
        "price": "1.10",
        "much": "1E+400",
        "color": "red",
        "size": 9,
        "shape": "round",
        "pair": [1, 2],
        "point": {"x": 1.0, "y": 0.0},
    }


@dataclass
class Row:
    a: int


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, r"payload.a.b\[1\] is nan.*send None"),
        (math.inf, "is inf"),
        (Decimal("NaN"), "is NaN"),
        (Decimal("sNaN"), "is sNaN"),
        (10**640, "integer of more than 640 digits; send it as text"),
        pytest.param(-(10**5000), "integer of more than 640 digits", id="long"),
        ("x\ud800", "lone surrogate .* at letter 1"),
        ({"\udfff": 1}, r"a key of payload.a.b\[1\] has a lone surrogate"),
        ({1: 2}, r"has the key 1 \(of type int\).*use str"),
        ({None: 2}, "has the key None"),
        (b"x", "of type bytes; .*base64"),
        ({1, 2}, "of type set.*sorted"),
        (Row(1), "of type Row; use dataclasses.asdict"),
        (object(), "of type object; use JSON values"),
        (1 + 2j, "of type complex"),
        ((one for one in [1]), "of type generator"),
        (Point.model_construct(x=math.nan), "Point that does not read back|is nan"),
    ],
)
def test_a_refusal_names_the_place_and_what_to_do(value, reason):
    with pytest.raises(InvalidEventError, match=f"(?s){reason}"):
        encode_payload({"a": {"b": [0, value]}})


@pytest.mark.parametrize("payload", [None, 5, "text", b"{}", [], [{}], (1,), object(), Point])
def test_only_an_object_can_be_a_payload(payload):
    with pytest.raises(InvalidEventError, match="must be a dictionary or a pydantic model"):
        encode_payload(payload)


def test_a_long_integer_among_much_text_is_found():
    with pytest.raises(InvalidEventError, match=r"payload.list\[50\] is an integer"):
        encode_payload({"list": ["word" * 50] * 50 + [10**650]})


def test_many_digits_in_text_are_no_long_integer():
    assert back({"text": "1" * 5_000}) == {"text": "1" * 5_000}


def test_the_limits_hold_exactly():
    assert len(encode_payload({"a": "x" * 92}, max_bytes=100)) == 100
    with pytest.raises(InvalidEventError, match="is 101 bytes of JSON, and the limit is 100"):
        encode_payload({"a": "x" * 93}, max_bytes=100)
    assert back(nested(64))
    with pytest.raises(InvalidEventError, match="deeper than 64 levels"):
        encode_payload(nested(65))
    assert back({"flat": [{} for _ in range(500)]})


@pytest.mark.parametrize("depth", [65, 191, 500, 3_000, 100_000])
def test_deep_nesting_is_refused_whatever_its_depth(depth):
    with pytest.raises(InvalidEventError, match="nested deeper"):
        encode_payload(nested(depth))


@pytest.mark.parametrize("allowed", [190, 1_000])
def test_no_setting_allows_more_than_workers_can_read(allowed):
    assert back(nested(190), max_depth=allowed)
    with pytest.raises(InvalidEventError, match="nested deeper than 190"):
        encode_payload(nested(191), max_depth=allowed)


def test_an_object_that_contains_itself_is_refused():
    payload: dict[str, Any] = {}
    payload["self"] = [payload]
    with pytest.raises(InvalidEventError, match="contains itself"):
        encode_payload(payload)


class Aliased(BaseModel):
    user_id: str = Field(alias="userId")


def test_a_model_is_written_by_alias_so_that_its_class_reads_it():
    stored = encode_payload(Aliased(userId="1"))
    assert stored == b'{"userId":"1"}'
    assert Aliased.model_validate_json(stored) == Aliased(userId="1")


class Price(BaseModel):
    amount: float | None


class Count(BaseModel):
    number: int


class Login(BaseModel):
    password: SecretStr


class OneWay(BaseModel):
    at: datetime

    @field_serializer("at")
    def _shorten(self, at: datetime) -> str:
        return "a while ago"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Point.model_construct(x=math.inf), "does not read back|is inf"),
        (Price(amount=math.nan), "payload.amount is nan"),
        (Login(password=SecretStr("x")), "payload.password is a secret"),
        (OneWay(at=NOW), "OneWay that does not read back"),
        (RootModel[list[int]]([1]), "no JSON object"),
        (Price.model_construct(amount="\ud800"), "does not read back"),
        pytest.param(Count(number=10**700), "payload.number is an integer of more than 640", id="long"),
        pytest.param(Count(number=10**5000), "does not read back", id="longer"),
    ],
)
def test_a_model_that_would_lose_something_is_refused(model, reason):
    with pytest.raises(InvalidEventError, match=f"(?s){reason}"):
        encode_payload(model)


def test_a_model_that_is_an_object_in_another_form_is_accepted():
    assert encode_payload(RootModel[dict[str, int]]({"a": 1})) == b'{"a":1}'
