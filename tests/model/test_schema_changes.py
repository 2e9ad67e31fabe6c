"""What breaks between two versions of the payloads."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model

from eventsys.model.schema_changes import SchemaChanges, SchemaSet, TypeSchema, compare
from eventsys.model.schema_differences import differences


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


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


Cat = create_model("Cat", kind=(Literal["cat"], "cat"), lives=(int, 9))
OtherCat = create_model("Cat", kind=(Literal["cat"], "cat"), lives=(str, "9"))
Forbidding = create_model("Address", __config__=ConfigDict(extra="forbid"), street=(str, ...))


def field_changes(before: Any, after: Any) -> set[tuple[str, str, bool]]:
    """Compare two models whose only field is of another type."""
    older, newer = (create_model("Shape", field=(kind, ...)) for kind in (before, after))
    found = compare(_set(older), _set(newer)).changes
    return {(one.where.removeprefix("payload.field"), one.said, one.is_breaking) for one in found}


@pytest.mark.parametrize(
    ("before", "after", "where", "said"),
    [
        (str, UUID, "", "must be in the format 'uuid' now"),
        (str | None, datetime | None, "", "must be in the format 'date-time' now"),
        (date, datetime, "", "must be in the format 'date-time' now"),
        (UUID, str, "", "need not be in the format 'uuid' now"),
        (Any, str, "", "was anything and is string"),
        (dict[str, int], dict[str, str], ".*", "was integer and is string"),
        (dict[str, Any], dict[str, str], ".*", "was anything and is string"),
        (dict[str, Address], dict[str, OtherAddress], ".*.city", "is new and required"),
        (dict[str, int], dict[UUID, int], ".* as a key", "must be in the format 'uuid' now"),
        (dict[Literal["a", "b"], int], dict[Literal["a"], int], ".* as a key", "lost values: b"),
        (dict[Annotated[str, Field(pattern="a")], int], dict[Annotated[str, Field(pattern="a")], str], ".a",
         "was integer and is string"),
        (list[Any], list[int], "[]", "was anything and is integer"),
        (tuple[int, str], tuple[int, int], "[1]", "was string and is integer"),
        (tuple[Address, int], tuple[OtherAddress, int], "[0].city", "is new and required"),
        (Address, Forbidding, "", "allows no other fields now"),
        (str | int, UUID | int, "(string)", "must be in the format 'uuid' now"),
        (list[int] | list[str], list[int] | list[float], "(array #2)[]", "was string and is number"),
        (Cat | Dog, OtherCat | Dog, "(Cat).lives", "was integer and is string"),
        (Cat | Dog | None, OtherCat | Dog | None, "(Cat).lives", "was integer and is string"),
        (list[Cat | Dog], list[Cat], "[]", "was Cat or Dog and is object"),
        (Annotated[Cat | Dog, Field(discriminator="kind")], Annotated[OtherCat | Dog, Field(discriminator="kind")],
         "(Cat).lives", "was integer and is string"),
        (Cat | Dog, Annotated[Cat | Dog, Field(discriminator="kind")], "", "is told apart by kind now"),
        (Literal[1, "a"], Literal["1", "a"], "", "lost values: 1"),
        (list[str], set[str], "", "changed otherwise"),
        (int, Annotated[int, Field(multiple_of=2)], "", "changed otherwise"),
        (str, Annotated[str, Field(json_schema_extra={"not": {"const": "a"}})], "", "changed otherwise"),
    ],
)  # fmt: skip
def test_what_breaks_is_found_however_deep_and_in_whichever_words(
    before: Any, after: Any, where: str, said: str
) -> None:
    assert (where, said, True) in field_changes(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Cat | Dog, Dog | Cat),
        (dict[str, Cat | Dog], dict[str, Dog | Cat]),
        (Forbidding, Address),
        (str, SecretStr),
        (str, Annotated[str, Field(description="a name", examples=["b"], json_schema_extra={"secret": True})]),
        (Annotated[int, Field(ge=1, le=9)], Annotated[int, Field(ge=0)]),
        (Annotated[str, Field(pattern="a")], str),
        (Literal["a"], Literal["a", "b"]),
        (Literal["a"], str),
        (Any, Any | None),
        (tuple[int, str], tuple[int, str]),
    ],
)
def test_what_allows_no_less_breaks_nothing(before: Any, after: Any) -> None:
    assert not [one for one in field_changes(before, after) if one[2]]


def _tree(kind: Any) -> type[BaseModel]:
    class Tree(BaseModel):
        weight: kind
        left: Tree | None = None
        right: Tree | None = None

    return Tree


def test_models_that_hold_themselves_are_compared_once() -> None:
    assert compare(_set(_tree(int)), _set(_tree(int))).changes == []
    found = compare(_set(_tree(int)), _set(_tree(str))).changes
    assert [(one.where, one.said) for one in found] == [("payload.weight", "was integer and is string")]


def test_many_models_that_all_refer_to_each_other_are_compared_in_a_moment() -> None:
    def schema(kind: str) -> dict[str, Any]:
        names = [f"M{number}" for number in range(12)]
        fields = {name.lower(): {"$ref": f"#/$defs/{name}"} for name in names}
        models = {name: {"type": "object", "properties": {"n": {"type": kind}, **fields}} for name in names}
        return {"type": "object", "properties": fields, "$defs": models}

    found = list(differences(schema("integer"), schema("string"), ""))
    assert len(found) == 12
    assert all(breaks for _, _, breaks in found)
