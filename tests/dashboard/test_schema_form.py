"""Forms made from schemas: every kind of field, and back to a payload that the model takes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from eventsys import InvalidPayloadError
from eventsys.dashboard.schema_form import fields_of, object_in, payload_of
from eventsys.model.catalog import Catalog

WORDS = ("type", "properties", "$ref", "anyOf", "required", "enum", "default", "format", "x")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """Where it goes."""

    street: str = Field(description="With the number.", max_length=60)
    country: Literal["NL", "DE"] = "NL"


class Order(BaseModel):
    number: int = Field(ge=1)
    price: float | None = None
    colour: Colour
    paid: bool = False
    at: datetime
    address: Address
    former: Address | None = None
    tags: list[str] = Field(default_factory=list)
    pin: SecretStr | None = None
    level: Literal[1, 2] = 1
    note: str = ""
    parts: list[Order] = Field(default_factory=list)


def test_every_kind_of_field_is_found() -> None:
    found = {one.label: one for one in fields_of(Order.model_json_schema())}
    assert {label: one.kind for label, one in found.items()} == {
        "number": "integer", "price": "number", "colour": "choice", "paid": "flag", "at": "moment",
        "address.street": "text", "address.country": "choice", "former.street": "text", "former.country": "choice",
        "tags": "json", "pin": "secret", "level": "choice", "note": "text", "parts": "json",
    }  # fmt: skip
    assert {label for label, one in found.items() if one.is_required} == {"number", "colour", "at", "address.street"}
    assert found["address.street"].said == "With the number."
    assert found["address.street"].limits == {"maxlength": 60}
    assert found["number"].limits == {"min": 1}
    assert found["colour"].choices == ('"red"', '"blue"')
    assert found["level"].choices == ("1", "2")
    assert (found["address.country"].default, found["paid"].default) == ("NL", "false")


def test_what_was_filled_in_is_the_payload() -> None:
    fields = fields_of(Order.model_json_schema())
    payload = payload_of(fields, {
        "payload/number": "7", "payload/price": "1.5", "payload/colour": '"blue"', "payload/paid": "true",
        "payload/at": "2026-12-24T18:00", "payload/address/street": " Dam 1 ", "payload/tags": '["a", "b"]',
        "payload/note": "  ", "payload/former/street": "", "payload/pin": "1234", "payload/level": "2", "other": "x",
    })  # fmt: skip
    order = Order.model_validate(payload)
    assert payload["at"] == "2026-12-24T18:00:00+00:00"
    assert (order.number, order.price, order.colour, order.paid, order.tags) == (7, 1.5, "blue", True, ["a", "b"])
    assert (order.address.street, order.former, order.note, order.level) == (" Dam 1 ", None, "", 2)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("payload/number", "seven", "number is a whole number"),
        ("payload/price", "x", "price is a number"),
        ("payload/at", "tomorrow", "at is a date and time"),
        ("payload/tags", "[", "tags is written as JSON"),
        ("payload/tags", "[" * 100_000, "tags is written as JSON"),
        ("payload/paid", "perhaps", "paid is written as JSON"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidPayloadError, match=said):
        payload_of(fields_of(Order.model_json_schema()), {name: text})


@pytest.mark.parametrize("text", ["[]", "1", "{", "null", ""])
def test_what_is_no_object_is_no_payload(text: str) -> None:
    with pytest.raises(InvalidPayloadError):
        object_in(text)


@given(st.lists(st.text(max_size=6), min_size=1, max_size=6, unique=True))
def test_the_fields_of_any_payload_have_names_of_their_own(names: list[str]) -> None:
    """Names of fields may hold whatever a key may, slashes and tildes too."""
    properties = {name: {"type": "string"} for name in names}
    inner = {"type": "object", "properties": properties}
    schema = {"type": "object", "properties": {**properties, "/": inner, "~1": inner}}
    fields = fields_of(schema)
    assert len({one.name for one in fields}) == len(fields)
    filled = payload_of(fields, {one.name: "x" for one in fields})
    assert set(filled) == set(schema["properties"])
    assert set(filled["/"]) == set(filled["~1"]) == set(names)


_json = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=3), _json))
def test_no_schema_of_a_model_breaks_the_form(odd: dict[str, Any]) -> None:
    """A model may put anything into its schema beside what it means."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "json_schema_extra": odd, "default": odd}}}
    [field] = fields_of(schema)
    assert payload_of([field], {field.name: "x"}) == {"a": "x"}


def test_the_builtin_types_have_forms() -> None:
    for event_type, model in Catalog().registered().items():
        fields = fields_of(model.model_json_schema())
        assert {one.path[0] for one in fields} == set(model.model_fields), event_type
