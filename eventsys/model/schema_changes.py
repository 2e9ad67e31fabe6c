"""What changed between two sets of event schemas, and what of it breaks those who rely on the older one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, computed_field

Schema = Mapping[str, Any]

#: Words of JSON Schema that narrow what is allowed, each with the direction in which a number becomes stricter.
_LIMITS = {
    "minimum": 1, "exclusiveMinimum": 1, "minLength": 1, "minItems": 1, "minProperties": 1,
    "maximum": -1, "exclusiveMaximum": -1, "maxLength": -1, "maxItems": -1, "maxProperties": -1,
}  # fmt: skip


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
    field that is gone, a new required field, another kind of value, fewer values allowed. More of anything that is
    optional is not. A type whose `version` grew says that it breaks; it is told all the same, and not called breaking.
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
    both = (before.payload.get("$defs", {}), after.payload.get("$defs", {}))
    for where, said, breaks in _differences(before.payload, after.payload, both, "payload", 0):
        yield SchemaChange(type=name, where=where, said=said, is_breaking=breaks and not is_announced)


_Difference = tuple[str, str, bool]
_Definitions = tuple[Schema, Schema]

#: Deepest nesting that is compared; models may refer to themselves.
_DEEPEST = 32


def _differences(
    before: Schema, after: Schema, definitions: _Definitions, where: str, depth: int
) -> Iterator[_Difference]:
    if depth > _DEEPEST:
        return
    before, after = _resolved(before, definitions[0]), _resolved(after, definitions[1])
    if before == after and "$ref" not in str(before):
        return
    yield from _kinds(before, after, where)
    yield from _values(before, after, where)
    yield from _fields(before, after, definitions, where, depth)
    if "items" in before and "items" in after:
        yield from _differences(before["items"], after["items"], definitions, f"{where}[]", depth + 1)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """Return what a schema refers to; of a value that may be null, the value, marked as `nullable`."""
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(options) == 1:
        return {**_resolved(options[0], definitions), "nullable": len(schema["anyOf"]) > 1}
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return definitions.get(name, schema) if name else schema


def _kinds(before: Schema, after: Schema, where: str) -> Iterator[_Difference]:
    was, now = _kinds_of(before), _kinds_of(after)
    if was == now:
        return
    lost, gained = sorted(was - now), sorted(now - was)
    if lost and not (lost == ["integer"] and "number" in now):
        yield where, f"was {_or(was)} and is {_or(now)}", True
    elif gained:
        yield where, f"may be {_or(now)} now", bool(was) and not (gained == ["integer"] and "number" in was)


def _kinds_of(schema: Schema) -> frozenset[str]:
    if "anyOf" in schema:
        return frozenset(kind for option in schema["anyOf"] for kind in _kinds_of(option))
    if "$ref" in schema:
        return frozenset({str(schema["$ref"]).rpartition("/")[2]})
    kind = schema.get("type")
    kinds = frozenset(kind) if isinstance(kind, list) else frozenset({kind} if kind else ())
    return kinds | {"null"} if schema.get("nullable") else kinds


def _values(before: Schema, after: Schema, where: str) -> Iterator[_Difference]:
    was, now = _allowed(before), _allowed(after)
    if was is not None and now is not None and was - now:
        yield where, f"lost values: {', '.join(sorted(was - now))}", True
    elif now is not None and was is None:
        yield where, "is limited to a set of values now", True
    for word, stricter in _LIMITS.items():
        old, new = before.get(word), after.get(word)
        if new is not None and (old is None or (new - old) * stricter > 0):
            yield where, f"{word} became {new}", True
    if after.get("pattern") not in {None, before.get("pattern")}:
        yield where, f"must match {after['pattern']!r} now", True


def _allowed(schema: Schema) -> set[str] | None:
    """Return the only values allowed, None where there is no such list."""
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema["enum"]} if "enum" in schema else None


def _fields(before: Schema, after: Schema, definitions: _Definitions, where: str, depth: int) -> Iterator[_Difference]:
    was, now = before.get("properties", {}), after.get("properties", {})
    required_before, required_after = set(before.get("required", ())), set(after.get("required", ()))
    for name in sorted(was.keys() | now.keys()):
        place = f"{where}.{name}"
        if name not in now:
            yield place, "is gone", True
        elif name not in was:
            is_required = name in required_after
            yield place, "is new and required" if is_required else "is new", is_required
        else:
            if name in required_after - required_before:
                yield place, "is required now", True
            elif name in required_before - required_after:
                yield place, "may be left out now", True
            yield from _differences(was[name], now[name], definitions, place, depth + 1)


def _or(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds)) or "anything"
