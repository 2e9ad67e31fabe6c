"""What differs between two JSON Schemas, and what of it breaks those who rely on the older one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

Difference = tuple[str, str, bool]
"""Where, what is said of it, and whether it breaks somebody."""

#: Words of JSON Schema that narrow what is allowed, each with the direction in which a number becomes stricter.
_LIMITS = {
    "minimum": 1, "exclusiveMinimum": 1, "minLength": 1, "minItems": 1, "minProperties": 1,
    "maximum": -1, "exclusiveMaximum": -1, "maxLength": -1, "maxItems": -1, "maxProperties": -1,
}  # fmt: skip

#: Words that say nothing of what is allowed, and those that are compared one by one.
_COMPARED = {
    "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "secret",
    "$defs", "$ref", "anyOf", "oneOf", "discriminator", "nullable", "type", "const", "enum", "pattern", "format",
    "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "items", "prefixItems",
    *_LIMITS,
}  # fmt: skip

#: Formats that any text has.
_ANY_TEXT = {"binary", "password", "path"}

#: Deepest nesting that is compared.
_DEEPEST = 32


class _Walk(NamedTuple):
    """The way to two schemas that are compared."""

    older: Schema
    """Definitions that the older may refer to."""
    newer: Schema
    compared: set[tuple[str, str]]
    """Names of definitions that were met: what differs within them is said once, where it was met first."""
    depth: int = 0

    def into(self, names: tuple[str, str]) -> _Walk:
        """Return the way to what lies within these definitions."""
        self.compared.add(names)
        return self._replace(depth=self.depth + 1)

    def is_same(self, before: Any, after: Any) -> bool:
        """Say whether two are equal, with all they refer to."""
        return bool(before == after) and ("$ref" not in str(before) or self.older == self.newer)


def differences(before: Schema, after: Schema, where: str) -> Iterator[Difference]:
    """Give all that differs between two schemas; `compare` tells what breaks.

    Args:
        before: The older, with the definitions that it refers to.
        after: The newer.
        where: The place of both.
    """
    walk = _Walk(before.get("$defs", {}), after.get("$defs", {}), set())
    yield from _differences(before, after, walk, where)


def _differences(before: Any, after: Any, walk: _Walk, where: str) -> Iterator[Difference]:
    before, after = _as_schema(before), _as_schema(after)
    names = (_referred(before), _referred(after))
    before, after = _resolved(before, walk.older), _resolved(after, walk.newer)
    if walk.depth > _DEEPEST or walk.is_same(before, after):
        return
    kinds = list(_kinds(before, after, where))
    yield from kinds
    if all(names) and names in walk.compared:
        return
    others = [*_values(before, after, where), *_texts(before, after, where), *_layout(before, after, where)]
    yield from others
    is_known = any(breaks for _, _, breaks in kinds + others)
    if not is_known and not (walk.is_same(_rest(before), _rest(after)) and (kinds or _is_same_union(before, after))):
        yield where, "changed otherwise", True
    inner = walk.into(names)
    yield from _fields(before, after, inner, where)
    for place, was, now in _parts(before, after):
        yield from _differences(was, now, inner, f"{where}{place}")


def _referred(schema: Schema) -> str:
    """Return the name of the definition that a schema is, or is if it is not null; empty where it is none."""
    options = _not_null(schema)
    return _referred(options[0]) if len(options) == 1 else str(schema.get("$ref", ""))


def _resolved(schema: Schema, definitions: Schema, seen: frozenset[str] = frozenset()) -> Schema:
    """Return what a schema refers to; of a value that may be null, the value, marked as `nullable`."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions and name not in seen:
        beside = {word: value for word, value in schema.items() if word != "$ref"}
        return _resolved({**definitions[name], **beside}, definitions, seen | {name})
    options = _not_null(schema)
    if len(options) != 1:
        return schema
    beside = {word: value for word, value in schema.items() if word not in {"anyOf", "oneOf"}}
    inner = _resolved(options[0], definitions, seen)
    is_nullable = len(_options(schema)) > 1 or inner.get("nullable", False)
    return {**beside, **inner, "nullable": is_nullable}


def _options(schema: Schema) -> list[Schema]:
    """Return what a union may be, with what a union in it may be; nothing for what is no union."""
    options = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    return [one for option in options for one in _options(option) or [option]]


def _not_null(schema: Schema) -> list[Schema]:
    return [one for one in _options(schema) if one.get("type") != "null"]


def _members(schema: Schema) -> dict[str, Schema]:
    """Return what a union may be by name: of its definition, or of its kind, with a number where there are more."""
    members: dict[str, Schema] = {}
    for option in sorted(_options(schema), key=str):
        name = _or(_kinds_of(option))
        number = 1 + sum(known.partition(" #")[0] == name for known in members)
        members[name if number == 1 else f"{name} #{number}"] = option
    return members


def _kinds(before: Schema, after: Schema, where: str) -> Iterator[Difference]:
    was, now = _kinds_of(before), _kinds_of(after)
    if was == now:
        return
    lost, gained = sorted(was - now), sorted(now - was)
    if not was or (lost and not (lost == ["integer"] and "number" in now)):
        yield where, f"was {_or(was)} and is {_or(now)}", True
    elif gained:
        yield where, f"may be {_or(now)} now", not (gained == ["integer"] and "number" in was)


def _kinds_of(schema: Schema) -> frozenset[str]:
    if options := _options(schema):
        return frozenset(kind for option in options for kind in _kinds_of(option))
    if "$ref" in schema:
        return frozenset({str(schema["$ref"]).rpartition("/")[2]})
    kind = schema.get("type")
    kinds = frozenset(kind) if isinstance(kind, list) else frozenset({kind} if kind else ())
    return kinds | {"null"} if kinds and schema.get("nullable") else kinds


def _values(before: Schema, after: Schema, where: str) -> Iterator[Difference]:
    was, now = _allowed(before), _allowed(after)
    if was is not None and now is not None and was.keys() - now.keys():
        yield where, f"lost values: {', '.join(sorted(was[one] for one in was.keys() - now.keys()))}", True
    elif now is not None and was is None:
        yield where, "is limited to a set of values now", True
    elif was is not None and was != now:
        gained = [] if now is None else sorted(now[one] for one in now.keys() - was.keys())
        yield where, f"gained values: {', '.join(gained) or 'all of its kind'}", False
    for word, stricter in _LIMITS.items():
        old, new = before.get(word), after.get(word)
        if new is None and old is not None:
            yield where, f"{word} {old} is gone", False
        elif new != old:
            yield where, f"{word} became {new}", old is None or (new - old) * stricter > 0


def _allowed(schema: Schema) -> dict[str, str] | None:
    """Return the only values allowed, as they are told apart and as they are shown; None: there is no such list."""
    if "const" not in schema and "enum" not in schema:
        return None
    return {repr(value): str(value) for value in schema.get("enum", [schema.get("const")])}


def _texts(before: Schema, after: Schema, where: str) -> Iterator[Difference]:
    was, now = before.get("pattern"), after.get("pattern")
    if was != now:
        yield where, f"need not match {was!r} now" if now is None else f"must match {now!r} now", now is not None
    was, now = _format(before), _format(after)
    if now not in {None, was}:
        yield where, f"must be in the format {now!r} now", True
    elif was != now and "string" in _kinds_of(after):  # who reads a moment cannot read any text
        yield where, f"need not be in the format {was!r} now", True


def _format(schema: Schema) -> str | None:
    name = schema.get("format")
    return None if name in _ANY_TEXT else name


def _layout(before: Schema, after: Schema, where: str) -> Iterator[Difference]:
    """Compare what may stand beside the fields, and by which of them the models of a union are told apart."""
    if _is_same_kind(before, after):
        was, now = before.get("additionalProperties"), after.get("additionalProperties")
        if now is False and was is not False:
            yield where, "allows no other fields now", True
        elif was is False and now is not False:
            yield where, "allows other fields now", False
    was, now = _discriminators(before), _discriminators(after)
    if was != now and was | now:
        yield where, f"is told apart by {_or(now)} now" if now else f"is not told apart by {_or(was)} now", True


def _discriminators(schema: Schema) -> frozenset[str]:
    inner = [_discriminators(one) for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))]
    name = schema.get("discriminator", {}).get("propertyName")
    return frozenset({name} if name else ()).union(*inner)


def _rest(schema: Schema) -> dict[str, Any]:
    """Return what of a schema nothing else compares; of what is compared part by part, which parts there are."""
    rest = {word: value for word, value in schema.items() if word not in _COMPARED and not word.startswith("x-")}
    parts = {"prefixItems": len(schema.get("prefixItems", ())), "patterns": sorted(schema.get("patternProperties", ()))}
    return {**rest, **parts, "oneOf": "oneOf" in schema}


def _parts(before: Schema, after: Schema) -> Iterator[tuple[str, Any, Any]]:
    """Give what both hold beside their fields, each with its place in them."""
    if _is_same_kind(before, after):
        yield "[]", before.get("items", True), after.get("items", True)
        yield ".* as a key", _key(before), _key(after)
        was, now = before.get("additionalProperties", True), after.get("additionalProperties", True)
        if was is not False and now is not False:  # which `_layout` compares
            yield ".*", was, now
    for at, (was, now) in enumerate(zip(before.get("prefixItems", ()), after.get("prefixItems", ()), strict=False)):
        yield f"[{at}]", was, now
    was, now = before.get("patternProperties", {}), after.get("patternProperties", {})
    yield from ((f".{pattern}", was[pattern], now[pattern]) for pattern in sorted(was.keys() & now.keys()))
    was, now = _members(before), _members(after)
    yield from ((f"({name})", was[name], now[name]) for name in sorted(was.keys() & now.keys()))


def _is_same_kind(before: Schema, after: Schema) -> bool:
    return _kinds_of(before) - {"null"} == _kinds_of(after) - {"null"}


def _is_same_union(before: Schema, after: Schema) -> bool:
    return _members(before).keys() == _members(after).keys()


def _key(schema: Schema) -> Schema:
    return {"type": "string", **_as_schema(schema.get("propertyNames", True))}


def _as_schema(value: Any) -> Schema:
    """Return what a word holds; it may say yes or no to everything."""
    if isinstance(value, bool):
        return {} if value else {"not": {}}
    schema: Schema = value
    return schema


def _fields(before: Schema, after: Schema, walk: _Walk, where: str) -> Iterator[Difference]:
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
            yield from _differences(was[name], now[name], walk, place)


def _or(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds)) or "anything"
