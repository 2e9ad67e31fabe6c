"""What breaks between two versions of the payloads."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from eventsys.model.schema_changes import SchemaChanges, SchemaSet, TypeSchema, compare


class Address(BaseModel):
    street: str


class OtherAddress(BaseModel):
    street: str
    city: str


class Order(BaseModel):
    id: int
    note: str | None = None
    state: Literal["open", "paid"] = "open"
    address: Address | None = None
    lines: list[Address] = []


def _set(model: type[BaseModel] | None, version: int = 1) -> SchemaSet:
    if model is None:
        return SchemaSet(types={})
    return SchemaSet(types={"order.paid": TypeSchema(version=version, payload=model.model_json_schema())})


def changes(after: type[BaseModel] | None, version: int = 1) -> SchemaChanges:
    return compare(_set(Order), _set(after, version))


class WithoutNote(BaseModel):
    id: int
    state: Literal["open", "paid"] = "open"
    address: Address | None = None
    lines: list[Address] = []


class MoreRequired(Order):
    currency: str


class TextId(Order):
    id: str  # type: ignore[assignment]


class FewerStates(Order):
    state: Literal["open"] = "open"  # type: ignore[assignment]


class Stricter(Order):
    id: int = Field(ge=1)


class RequiredNote(Order):
    note: str | None


class DeeperInList(Order):
    lines: list[OtherAddress] = []  # type: ignore[assignment]


class Deeper(Order):
    address: OtherAddress | None = None  # type: ignore[assignment]


class MoreOptional(Order):
    currency: str = "EUR"


class WiderId(Order):
    id: float  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("after", "where", "said"),
    [
        (None, "", "is gone"),
        (WithoutNote, "payload.note", "is gone"),
        (MoreRequired, "payload.currency", "is new and required"),
        (TextId, "payload.id", "was integer and is string"),
        (FewerStates, "payload.state", "lost values: paid"),
        (Stricter, "payload.id", "minimum became 1"),
        (RequiredNote, "payload.note", "is required now"),
        (DeeperInList, "payload.lines[].city", "is new and required"),
        (Deeper, "payload.address.city", "is new and required"),
    ],
)
def test_what_others_rely_on_and_is_taken_away_breaks(after: type[BaseModel] | None, where: str, said: str) -> None:
    found = changes(after)
    assert found.is_breaking
    assert (where, said, True) in {(one.where, one.said, one.is_breaking) for one in found.changes}


@pytest.mark.parametrize("after", [Order, MoreOptional])
def test_what_is_added_and_may_be_left_out_breaks_nothing(after: type[BaseModel]) -> None:
    assert not changes(after).is_breaking


def test_a_new_type_breaks_nothing() -> None:
    found = compare(_set(None), _set(Order))
    assert [one.said for one in found.changes] == ["is new"]
    assert not found.is_breaking


def test_a_break_that_a_new_version_announces_is_told_and_not_counted() -> None:
    found = changes(TextId, version=2)
    assert not found.is_breaking
    assert {"version 1 became 2", "was integer and is string"} == {one.said for one in found.changes}


def test_a_version_that_shrinks_breaks() -> None:
    assert compare(_set(Order, 2), _set(Order, 1)).is_breaking
