"""Events as CloudEvents 1.0 in structured JSON, and back, without loss.

Where the two differ:

- `source`: CloudEvents wants a URI reference, not empty. A source that is none (`""`, or with a space) is written
  as `urn:eventsys:source:` with the source percent-encoded behind it, and read back from there.
- `correlation_id`, `causation_id`, `priority`, `version`, `depth`, `idempotency_key` become the extensions
  `correlationid`, `causationid`, `priority`, `eventversion`, `causationdepth`, `idempotencykey`; defaults are left out.
- A header whose name is an attribute name (1 to 20 lower-case letters and digits) and whose value is plain text is an
  extension of its own, as `traceparent` is by the CloudEvents extension for tracing. All other headers, and values with
  characters that CloudEvents forbids, travel in the extension `eventsysextra`, an object as JSON text.
- The other way, extensions, `subject`, `dataschema` and an unusual `datacontenttype` become headers. Integers and
  booleans become text, in their canonical form of the specification.
- `data` is the payload; only a JSON object can be one, so `data_base64` and data of other media types are refused.
  Without `data` the payload is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from eventsys.errors import InvalidEventError
from eventsys.model.event import Event

MEDIA_TYPE = "application/cloudevents+json"
"""The content type of a structured CloudEvent over HTTP."""

_JSON = "application/json"
_SOURCE_PREFIX = "urn:eventsys:source:"
_EXTRA = "eventsysextra"
_REQUIRED = ("specversion", "id", "source", "type")
_EXTENSIONS = {
    "correlationid": "correlation_id",
    "causationid": "causation_id",
    "priority": "priority",
    "eventversion": "version",
    "causationdepth": "depth",
    "idempotencykey": "idempotency_key",
}
_NOT_HEADERS = frozenset({*_REQUIRED, "time", "data", _EXTRA, *_EXTENSIONS})
_LARGEST_INTEGER = 2**31 - 1  # of the specification; a larger one is written as text
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]+")
_LONGEST_NAME = 20  # the specification's advice to those who write; longer ones are read
# The letters of RFC 3986, with '%' only before two hexadecimal digits.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_ABSOLUTE_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:{_URI_REFERENCE.pattern}")
_JSON_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/(?:[a-z0-9.-]+\+)?json(?: *;[\x20-\x7e]*)?", re.IGNORECASE)
# Text that the specification admits, less the rare planes above U+FFFF, which then travel escaped.
_PLAIN_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U00010000-\U0010ffff]*")


class _Extra(msgspec.Struct, forbid_unknown_fields=True):
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    correlation_id: str | None = None
    causation_id: str | None = None
    idempotency_key: str | None = None


_decode_extra = msgspec.json.Decoder(_Extra).decode


def to_cloudevent(event: Event[Any]) -> dict[str, Any]:
    """Return `event` as a structured CloudEvent, ready for a JSON encoder.

    `from_cloudevent` gives back an equal event whose payload is the JSON form. `is_replay` and `duplicate` stay behind.
    """
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": _to_uri_reference(event.source),
        "type": event.type,
        "time": event.time.isoformat().replace("+00:00", "Z"),
        "datacontenttype": _JSON,
    }
    extra: dict[str, Any] = {}
    for name, value in event.headers.items():
        if _is_attribute(name, value):
            attributes[name] = value
        else:
            extra.setdefault("headers", {})[name] = value
    for name, field in _EXTENSIONS.items():
        value = getattr(event, field)
        if value == _default(event, field):
            continue
        if isinstance(value, str) and not _PLAIN_TEXT.fullmatch(value):
            extra[field] = value
        else:
            attributes[name] = _as_attribute(value)
    if extra:
        attributes[_EXTRA] = json.dumps(extra)  # escapes everything that is not ASCII
    attributes["data"] = to_jsonable_python(event.payload, by_alias=True)
    return attributes


def from_cloudevent(given: Mapping[str, Any] | str | bytes, *, now: datetime | None = None) -> Event:
    """Return the event that a structured CloudEvent describes, its payload a dictionary.

    Args:
        given: The CloudEvent, as JSON text or decoded.
        now: The time of an event that tells none; without it such an event is refused.

    Raises:
        InvalidEventError: If it breaks the CloudEvents specification, or a rule of this bus: a type name outside our
            grammar, data that is no JSON object.
    """
    attributes = _decoded(given)
    _check_attributes(attributes)
    if now is None and attributes.get("time") is None:
        raise InvalidEventError(f"CloudEvent {attributes['id']!r} tells no time; say with now= which it is to have")
    extra = _extra(attributes)
    fields: dict[str, Any] = {
        "id": attributes["id"],
        "type": attributes["type"],
        "source": _from_uri_reference(attributes["source"]),
        "time": attributes.get("time", now),
        "payload": attributes.get("data", {}),
        **{field: attributes[name] for name, field in _EXTENSIONS.items() if name in attributes},
        **extra,
        "headers": {**_headers(attributes), **extra.get("headers", {})},
    }
    try:
        return Event.model_validate(fields)
    except ValidationError as error:
        raise InvalidEventError(f"CloudEvent {attributes['id']!r} cannot be an event: {error}") from error


def _default(event: Event[Any], field: str) -> Any:
    return event.id if field == "correlation_id" else Event.model_fields[field].default


def _as_attribute(value: str | int) -> str | int:
    if isinstance(value, str):
        return value
    return int(value) if value <= _LARGEST_INTEGER else str(value)


def _to_uri_reference(source: str) -> str:
    if _URI_REFERENCE.fullmatch(source) and not source.startswith(_SOURCE_PREFIX):
        return source
    return _SOURCE_PREFIX + quote(source, safe="")


def _from_uri_reference(source: str) -> str:
    return unquote(source.removeprefix(_SOURCE_PREFIX)) if source.startswith(_SOURCE_PREFIX) else source


def _is_attribute(name: str, value: str) -> bool:
    """Return whether a header can be written as an attribute that is read back as the same header."""
    if name in _NOT_HEADERS or not _ATTRIBUTE_NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        return False
    if name == "datacontenttype":
        return value != _JSON and _JSON_MEDIA_TYPE.fullmatch(value) is not None
    if name == "dataschema":
        return _ABSOLUTE_URI.fullmatch(value) is not None
    if name == "subject" and not value:
        return False
    return _PLAIN_TEXT.fullmatch(value) is not None


def _decoded(given: Mapping[str, Any] | str | bytes) -> dict[str, Any]:
    """Return the attributes that are there; a null stands for one that is not."""
    if isinstance(given, str | bytes):
        try:
            given = msgspec.json.decode(given)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InvalidEventError(f"the CloudEvent is not JSON: {error}") from error
    if not isinstance(given, Mapping):
        raise InvalidEventError(f"a CloudEvent is a JSON object, not {type(given).__name__}; send batches one by one")
    return {name: value for name, value in given.items() if value is not None}


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    for name in _REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise InvalidEventError(f"the CloudEvent needs {name!r}, a text; it has {_shown(attributes, name)}")
    if attributes["specversion"] != "1.0":
        raise InvalidEventError(f"the CloudEvent has specversion {attributes['specversion']!r}; '1.0' is understood")
    if not _URI_REFERENCE.fullmatch(attributes["source"]):
        raise InvalidEventError(f"CloudEvent source {attributes['source']!r} is no URI reference; percent-encode it")
    if "data_base64" in attributes or not isinstance(attributes.get("data", {}), Mapping):
        raise InvalidEventError("the CloudEvent's data is no JSON object, and a payload must be; wrap it in one")
    media_type = attributes.get("datacontenttype", _JSON)
    if not isinstance(media_type, str) or not _JSON_MEDIA_TYPE.fullmatch(media_type):
        raise InvalidEventError(f"the CloudEvent's datacontenttype is {media_type!r}; send {_JSON!r}")
    if not isinstance(attributes.get("time", ""), str | datetime):
        raise InvalidEventError(f"the CloudEvent's time {attributes['time']!r} is not of the form 2026-01-31T12:00:00Z")


def _shown(attributes: Mapping[str, Any], name: str) -> str:
    return repr(attributes[name])[:60] if name in attributes else "none"


def _headers(attributes: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    for name, value in attributes.items():
        if name in _NOT_HEADERS or (name == "datacontenttype" and value == _JSON):
            continue
        if not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name):
            raise InvalidEventError(f"{name!r} cannot name a CloudEvent attribute; use lower-case letters and digits")
        if not isinstance(value, str | int):
            raise InvalidEventError(f"the CloudEvent attribute {name!r} is {type(value).__name__}; send text")
        headers[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return headers


def _extra(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `to_cloudevent` could not write as attributes: headers, and fields by name."""
    try:
        extra = _decode_extra(attributes.get(_EXTRA, "{}"))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise InvalidEventError(f"the CloudEvent's {_EXTRA} is not what eventsys writes: {error}") from error
    return {field: value for field, value in msgspec.structs.asdict(extra).items() if value is not None}
