"""Forms made from the JSON Schema of a payload: which fields there are, and what was filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from eventsys.dashboard.room import size_of
from eventsys.errors import InvalidPayloadError
from eventsys.readable import visible

Schema = Mapping[str, Any]

#: Bytes of a page that the fields of a form may take before anything is filled in; of more, the payload is one field.
MOST_OF_FIELDS = 40_000

#: Bytes around the texts of a field, and around each of its choices: tags, names of attributes.
_AROUND_A_FIELD, _AROUND_A_CHOICE = 250, 40

#: Objects within objects that have fields of their own; deeper ones are written as JSON.
_DEEPEST = 4

#: Values of an enumeration that are offered; of a longer one any text may be written.
_MOST_CHOICES = 200

_KINDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "flag"}


class Field(NamedTuple):
    """One field of a form.

    Attributes:
        path: Where its value stands in the payload.
        kind: `text`, `secret`, `moment`, `integer`, `number`, `flag`, `choice` or `json`.
        is_required: Whether the payload cannot be without it.
        said: What its model says about it.
        choices: What may be chosen, as JSON.
        default: What it is where nothing is filled in, as text; empty where nothing is.
        limits: Attributes of the input: `min`, `max`, `minlength`, `maxlength`.
    """

    path: tuple[str, ...]
    kind: str
    is_required: bool
    said: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    limits: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        """What the form calls it."""
        return "payload" + "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in self.path)

    @property
    def label(self) -> str:
        """What a person calls it."""
        return ".".join(self.path)

    @property
    def size(self) -> int:
        """The bytes that it takes on a page at most, before anything is filled in."""
        around = _AROUND_A_FIELD + _AROUND_A_CHOICE * len(self.choices)
        as_they_are = [self.name, self.default, *self.choices, *map(str, self.limits.values())]
        escaped = [self.label, self.said, *self.choices]
        return around + sum(map(size_of, as_they_are)) + sum(size_of(visible(text)) for text in escaped)


def fields_of(schema: Schema) -> list[Field]:
    """Return the fields of an object, those of the objects in it too; what is of no simple kind is written as JSON."""
    known = schema.get("$defs", {})
    return list(_fields(_resolved(schema, known), known, (), is_required=True))


def has_room(fields: Iterable[Field]) -> bool:
    """Say whether a page has room for a form with so many fields."""
    left = MOST_OF_FIELDS
    for one in fields:
        left -= one.size
        if left < 0:
            return False
    return True


def payload_of(fields: list[Field], sent: Mapping[str, str]) -> dict[str, Any]:
    """Return the payload that was filled in; what was left empty is left out, so that the model's defaults hold.

    Raises:
        InvalidPayloadError: If something that was written is not of its kind.
    """
    payload: dict[str, Any] = {}
    for field in fields:
        text = sent.get(field.name, "")
        if text.strip() == "":
            continue
        inner = payload
        for part in field.path[:-1]:
            inner = inner.setdefault(part, {})
        inner[field.path[-1]] = _value(field, text)
    return payload


def object_in(text: str) -> dict[str, Any]:
    """Return the JSON object that was written.

    Raises:
        InvalidPayloadError: If it is none.
    """
    found = _json("the payload", text)
    if not isinstance(found, dict):
        raise InvalidPayloadError('a payload is a JSON object, such as {"user_id": "1"}')
    return found


def _fields(schema: Schema, known: Schema, path: tuple[str, ...], *, is_required: bool) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, said in schema.get("properties", {}).items():
        one = _resolved(said, known)
        needed = is_required and name in required
        own = (*path, name)
        if one.get("type") == "object" and one.get("properties") and len(own) < _DEEPEST:
            yield from _fields(one, known, own, is_required=needed)
        else:
            yield _field(one, own, is_required=needed, said=str(one.get("description", "")))


def _field(schema: Schema, path: tuple[str, ...], *, is_required: bool, said: str) -> Field:
    default = schema.get("default")
    shown = "" if default is None else default if isinstance(default, str) else json.dumps(default)
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if 0 < len(choices) <= _MOST_CHOICES:
        return Field(path, "choice", is_required, said, tuple(json.dumps(one) for one in choices), shown)
    kind = _KINDS.get(str(schema.get("type")), "json")
    if kind == "text":
        kind = _text_kind(schema)
    limits = {
        attribute: schema[word]
        for word, attribute in (("minimum", "min"), ("maximum", "max"), ("minLength", "minlength"),
                                ("maxLength", "maxlength"))
        if word in schema
    }  # fmt: skip
    return Field(path, kind, is_required, said, (), shown, limits)


def _text_kind(schema: Schema) -> str:
    if schema.get("writeOnly") or schema.get("secret") is True or schema.get("format") == "password":
        return "secret"
    return "moment" if schema.get("format") == "date-time" else "text"


def _resolved(schema: Schema, known: Schema) -> Schema:
    """Return what a schema refers to; of a value that may be null, the value."""
    for _ in range(8):
        options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
        name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        inner = options[0] if len(options) == 1 else known.get(name) if name else None
        if inner is None:
            return schema
        outer = {word: value for word, value in schema.items() if word not in {"anyOf", "$ref"}}
        schema = {**inner, **outer}
    return {}


def _value(field: Field, text: str) -> Any:
    try:
        if field.kind == "integer":
            return int(text)
        if field.kind == "number":
            return float(text)
        if field.kind == "moment":
            moment = datetime.fromisoformat(text.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except ValueError as error:
        said = {"integer": "a whole number", "number": "a number", "moment": "a date and time"}[field.kind]
        raise InvalidPayloadError(f"{field.label} is {said}, and {text[:80]!r} is none") from error
    if field.kind in {"flag", "choice", "json"}:
        return _json(field.label, text)
    return text


def _json(label: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPayloadError(f"{label} is written as JSON, and {text[:80]!r} is none: {error}") from error
