"""Payloads written as JSON that every worker can read back."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from eventsys.errors import InvalidEventError
from eventsys.model.misfits import payload_misfits

MAX_BYTES = 262_144
"""The longest payload by default: 256 KiB of JSON."""
MAX_DEPTH = 64
"""The deepest payload by default; `{}` is one level."""
READABLE_DEPTH = 190
"""No setting allows more: pydantic's reader stops at 200 levels."""
LONGEST_INTEGER = 640
"""Digits an integer may have: the lowest limit that a Python process can set (PYTHONINTMAXSTRDIGITS)."""

ANY_LENGTH = sys.maxsize
"""No limit: for what was judged by the settings of whoever wrote it."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_TOO_LONG = 10**LONGEST_INTEGER
_TWO_DIGITS = re.compile(rb"[0-9][0-9]")
_WRITTEN_BY_PYDANTIC = (bool, datetime, date, time, timedelta, UUID)
_CANNOT_WRITE = (msgspec.MsgspecError, PydanticSerializationError, TypeError, ValueError, RecursionError)


def encode_payload(payload: Any, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> bytes:
    """Return `payload` as a JSON object in UTF-8.

    What is accepted, every worker decodes, to an equal value: objects with text keys, lists, text of valid Unicode
    (NUL too), finite numbers, integers of up to 640 digits, booleans and None. Some values are written as pydantic
    writes them and come back as that: tuples as lists; datetimes, dates, times, timedeltas, UUIDs and finite Decimals
    as text; enum members as their value. A pydantic model is written by alias, and must read back what it writes;
    its own serializers decide the form.

    Args:
        payload: A dictionary or a pydantic model.
        max_bytes: The longest JSON accepted.
        max_depth: The deepest nesting accepted; the object itself is level 1. More than 190 counts as 190.

    Raises:
        InvalidEventError: If it is anything else; the message names the place and what to do.
    """
    if type(payload) is not dict and isinstance(payload, BaseModel):
        written = _encode_model(payload, "payload")
    elif isinstance(payload, dict):
        written = _encode_plain(payload) or _encode_carefully(payload, min(max_depth, READABLE_DEPTH))
    else:
        raise InvalidEventError(
            f"the payload is {_kind(payload)}, and must be a dictionary or a pydantic model; "
            "wrap a single value, as in {'value': ...}"
        )
    if len(written) > max_bytes:
        raise InvalidEventError(
            f"the payload is {len(written)} bytes of JSON, and the limit is {max_bytes}; "
            "store the bulk elsewhere and publish where it is"
        )
    brackets = written.count(b"{") + written.count(b"[")
    if brackets > max_depth or brackets > READABLE_DEPTH:
        _check_depth(_decode(written), min(max_depth, READABLE_DEPTH))
    return written


def _encode_plain(payload: dict[Any, Any]) -> bytes | None:
    """Return JSON that decodes to an equal value, or None when `payload` needs a closer look.

    Comparing costs less than walking through the value in Python, and leaves nothing to chance: whatever the encoder
    changed on the way (a key that was a number, NaN, bytes) is not equal.
    """
    try:
        written = _encode(payload)
        if _decode(written) == payload and not _may_hold_long_integer(written):
            return written
    except _CANNOT_WRITE:
        pass
    return None


def _may_hold_long_integer(written: bytes) -> bool:
    # Of more than 640 digits in a row, samples 320 bytes apart meet at least two in succession.
    return len(written) > LONGEST_INTEGER and _TWO_DIGITS.search(written[:: LONGEST_INTEGER // 2]) is not None


def _encode_carefully(payload: dict[Any, Any], max_depth: int) -> bytes:
    _check_value(payload, "payload", range(max_depth))
    try:
        written = to_json(payload, by_alias=True)
        _decode(written)
    except _CANNOT_WRITE as error:
        raise InvalidEventError(f"the payload cannot be written as JSON: {error}") from error
    return written


def _check_value(value: Any, path: str, levels: range) -> None:
    """Refuse what JSON cannot carry, naming the place. `levels` are those that may still be entered."""
    if isinstance(value, Enum):
        _check_value(value.value, path, levels)
    elif isinstance(value, dict):
        _check_items(((_key_path(path, key), item) for key, item in value.items()), levels)
    elif isinstance(value, list | tuple):
        _check_items(((f"{path}[{index}]", item) for index, item in enumerate(value)), levels)
    elif isinstance(value, BaseModel):
        _encode_model(value, path)
    else:
        _check_single(value, path)


def _check_single(value: Any, path: str) -> None:
    if value is None or isinstance(value, _WRITTEN_BY_PYDANTIC):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if not -_TOO_LONG < value < _TOO_LONG:
            raise _refused(path, f"is an integer of more than {LONGEST_INTEGER} digits", "send it as text")
    elif isinstance(value, float | Decimal):
        # Decimal knows by itself: as a float a signaling NaN raises, and 1e400 is infinite.
        if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
            raise _refused(path, f"is {value}, which JSON has no number for", "send None or text instead")
    else:
        raise _refused(path, f"is {_kind(value)}", _remedy(value))


def _check_items(items: Iterable[tuple[str, Any]], levels: range) -> None:
    if not levels:
        raise _too_deep(levels.stop)
    for place, item in items:
        _check_value(item, place, levels[1:])


def _key_path(path: str, key: Any) -> str:
    if not isinstance(key, str):
        raise _refused(path, f"has the key {ascii(key)[:40]} ({_kind(key)})", "JSON keys are text: use str(key)")
    if type(key) is not str and isinstance(key, Enum):
        key = key.value
    _check_text(key, f"a key of {path}")
    return f"{path}.{key}"


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refused(
            path,
            f"has a lone surrogate ({error.object[error.start]!a}) at letter {error.start}: no valid Unicode",
            "decode the text with errors='replace' where it enters your program",
        ) from error


def _check_depth(value: Any, max_depth: int) -> None:
    """Refuse JSON nested deeper than `max_depth`, level by level, since deep nesting would exhaust a recursion."""
    level = [value]
    for _ in range(max_depth):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise _too_deep(max_depth)


def _encode_model(model: BaseModel, path: str) -> bytes:
    """Return a model's JSON, having seen that its class reads it back."""
    kind = type(model)
    try:
        written = model.__pydantic_serializer__.to_json(model, by_alias=True)
        if path == "payload" and not written.startswith(b"{"):
            raise TypeError("it writes no JSON object")
        again = kind.__pydantic_validator__.validate_json(written)
    except _CANNOT_WRITE as error:
        why = payload_misfits(error, kind.model_fields) if isinstance(error, ValidationError) else error
        raise InvalidEventError(
            f"{path} is a {kind.__name__} that does not read back as what it writes: {why}; "
            "give it finite numbers, valid text, an object at the top, and serializers that its validators accept"
        ) from None  # pydantic's error shows what was given
    if _may_hold_long_integer(written):
        _check_value(_decode(written), path, range(READABLE_DEPTH))
    # Unequal is no fault by itself (private attributes, excluded fields), but two kinds of loss hide behind it.
    if again != model:
        _check_losses(dict(model), path)
    return written


def _check_losses(value: Any, path: str) -> None:
    """Refuse what pydantic writes without a word as something else: NaN as null, a secret as asterisks."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused(path, f"is {value}, which JSON has no number for", "send None or text instead")
    if isinstance(value, SecretStr | SecretBytes):
        raise _refused(path, "is a secret, which is written as asterisks", "send a reference to it, or plain text")
    if isinstance(value, BaseModel):
        value = dict(value)
    if isinstance(value, dict):
        for key, item in value.items():
            _check_losses(item, f"{path}.{key}")
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            _check_losses(item, f"{path}[{index}]")


def _too_deep(max_depth: int) -> InvalidEventError:
    return InvalidEventError(
        f"the payload is nested deeper than {max_depth} levels, or contains itself; "
        "flatten it, or publish where the bulk is stored"
    )


def _refused(path: str, fault: str, remedy: str) -> InvalidEventError:
    return InvalidEventError(f"{ascii(path)[1:-1][:200]} {fault}; {remedy}")


def _kind(value: Any) -> str:
    return f"of type {type(value).__name__}"


def _remedy(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "encode bytes as text, for instance with base64.b64encode(value).decode()"
    if isinstance(value, set | frozenset):
        return "a set has no order: use sorted(value)"
    if hasattr(value, "__dataclass_fields__"):
        return "use dataclasses.asdict(value), or make it a pydantic model"
    return "use JSON values (text, numbers, booleans, None, lists, dictionaries) or a pydantic model"
