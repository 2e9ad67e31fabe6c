"""What changed between two sets of event schemas, and what of it breaks those who rely on the older one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, computed_field

from eventsys.model.schema_differences import differences


class TypeSchema(BaseModel):
    """The payload of one event type."""

    model_config = ConfigDict(frozen=True)

    version: int
    """Of the payload's shape."""
    payload: dict[str, Any]
    """Its JSON Schema."""


class SchemaSet(BaseModel):
    """The event types of an application, by name."""

    model_config = ConfigDict(frozen=True)

    types: dict[str, TypeSchema]


class SchemaChange(BaseModel):
    """One difference."""

    model_config = ConfigDict(frozen=True)

    type: str
    where: str
    """The place in the payload, such as `payload.user.id`; empty for the type as a whole."""
    said: str
    is_breaking: bool
    """Whether events of the older form no longer fit, or readers of the older form lack something."""


class SchemaChanges(BaseModel):
    """All differences between two sets."""

    model_config = ConfigDict(frozen=True)

    changes: list[SchemaChange]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def is_breaking(self) -> bool:
        """Whether any of them breaks somebody."""
        return any(change.is_breaking for change in self.changes)


def compare(older: SchemaSet, newer: SchemaSet) -> SchemaChanges:
    """Return what changed from `older` to `newer`.

    Breaking is what makes a stored event unreadable for new handlers, or a new event surprising for old ones: a type or
    field that is gone, a new required field, another kind of value (a text in another format too), fewer values
    allowed, no more fields allowed beside those that are named. More of anything that is optional is not, nor are wider
    limits. This holds for whatever lies deeper: in lists, tuples and dictionaries, and in each model of a union. What
    differs in a way that nothing here knows is breaking. A type whose `version` grew says that it breaks; it is told
    all the same, and not called breaking.
    """
    changes: list[SchemaChange] = []
    for name in sorted(older.types.keys() | newer.types.keys()):
        before, after = older.types.get(name), newer.types.get(name)
        if before is None:
            changes.append(SchemaChange(type=name, where="", said="is new", is_breaking=False))
        elif after is None:
            changes.append(SchemaChange(type=name, where="", said="is gone", is_breaking=True))
        else:
            changes += _compare_type(name, before, after)
    return SchemaChanges(changes=changes)


def _compare_type(name: str, before: TypeSchema, after: TypeSchema) -> Iterator[SchemaChange]:
    if after.version != before.version:
        said = f"version {before.version} became {after.version}"
        yield SchemaChange(type=name, where="", said=said, is_breaking=after.version < before.version)
    is_announced = after.version > before.version
    for where, said, breaks in differences(before.payload, after.payload, "payload"):
        yield SchemaChange(type=name, where=where, said=said, is_breaking=breaks and not is_announced)
