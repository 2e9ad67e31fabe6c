"""What does not fit a model, told in one line."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from eventsys.model.misfits import misfits, misfits_with_values


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
        ({"name": 5}, "name: Input should be a valid string (came 5)"),
        ({"name": None}, "name: Input should be a valid string (came None)"),
        ({"name": {"a": 1}}, "name: Input should be a valid string (came a dict)"),
        ({"name": "x", "note": "AH"}, "note: say it quietly (came 'AH')"),
        (
            {"pieces": [1, "y" * 90]},
            (
                "name: Field required; pieces.1: Input should be a valid integer, unable to parse string as an integer"
                f" (came '{'y' * 39}...)"
            ),
        ),
        ([], "Input should be a valid dictionary or instance of Order (came a list)"),
    ],
    ids=str,
)
def test_each_field_is_told_with_what_was_expected_and_what_came(given: object, says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate(given)
    assert misfits_with_values(raised.value) == says
    assert "came" not in misfits(raised.value)


def test_of_many_fields_the_first_are_told() -> None:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate({"name": "x", "pieces": ["no"] * 12})
    assert misfits_with_values(raised.value).endswith("; and 7 more")
