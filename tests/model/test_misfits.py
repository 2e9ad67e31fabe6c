"""What does not fit a model, told in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ByteSize, Field, TypeAdapter, ValidationError, field_validator
from typing_extensions import TypedDict

from eventsys.model.masking import declared_names
from eventsys.model.misfits import misfits, payload_misfits


class Order(BaseModel):
    """A payload."""

    name: str
    pieces: list[int] = []
    note: str = ""

    @field_validator("note")
    @classmethod
    def _refuse_shouting(cls, note: str) -> str:
        if note.isupper():
            raise ValueError("say it\nquietly")
        return note


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "name: Field required"),
        ({"name": 5}, "name: Input should be a valid string (came as int)"),
        ({"name": None}, "name: Input should be a valid string (came as None)"),
        ({"name": {"a": 1}}, "name: Input should be a valid string (came as dict)"),
        ({"name": "x", "note": "AH"}, "note: say it quietly (came as str)"),
        (
            {"pieces": [1, "y" * 90]},
            (
                "name: Field required; pieces.1: Input should be a valid integer, unable to parse string as an integer"
                " (came as str)"
            ),
        ),
        ([], "Input should be a valid dictionary or instance of Order (came as list)"),
    ],
    ids=str,
)
def test_each_field_is_told_with_what_was_expected_and_what_came(given: object, says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate(given)
    assert payload_misfits(raised.value, declared_names(Order)) == says
    assert "came" not in misfits(raised.value)


def test_of_many_fields_the_first_are_told() -> None:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate({"name": "x", "pieces": ["no"] * 12})
    assert payload_misfits(raised.value, declared_names(Order)).endswith("; and 7 more")


class Cash(BaseModel):
    """One way to pay."""

    kind: Literal["cash"]


@dataclass
class Card:
    """Another."""

    kind: Literal["card"]
    number: Annotated[int, Field(alias="cardNumber")]


class Payment(TypedDict):
    """Some of them."""

    paid: dict[str, Annotated[Cash | Card, Field(discriminator="kind")]]
    rest: Cash | int


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"paid": {"4111": {"kind": "4111"}}, "rest": 1},
            "paid.*: 'kind' should be one of 'cash', 'card' (came as dict)",
        ),
        (
            {"paid": {"4111": {"kind": "card", "cardNumber": "4111x"}}, "rest": 1},
            (
                "paid.*.*.cardNumber: Input should be a valid integer, unable to parse string as an integer"
                " (came as str)"
            ),
        ),
        (
            {"paid": {}, "rest": "4111x"},
            (
                "rest.Cash: Input should be a valid dictionary or instance of Cash (came as str);"
                " rest.int: Input should be a valid integer, unable to parse string as an integer (came as str)"
            ),
        ),
    ],
    ids=["tag", "key", "union"],
)
def test_nothing_that_was_given_is_told_of_a_payload(given: Any, says: str) -> None:
    """Neither a value, nor a key of a dictionary, nor the tag that chose no member of a union."""
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Payment).validate_python(given)
    assert payload_misfits(raised.value, declared_names(Payment)) == says


def test_what_pydantic_repeats_of_a_value_or_a_key_is_left_out() -> None:
    class Limits(BaseModel):
        by_number: dict[int, int] = {}
        size: ByteSize = ByteSize(0)

    with pytest.raises(ValidationError) as failed:
        Limits.model_validate({"by_number": {4111111111111111: "x"}, "size": "5hunter2"})
    told = payload_misfits(failed.value, {"by_number", "size"})
    assert "4111" not in told
    assert "hunter2" not in told
    assert told.startswith("by_number.*: Input should be a valid integer")
