"""What does not fit a model, as a part of a sentence."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from pydantic import ValidationError

#: Fields of a payload that are named.
_FIELDS = 5

#: Numbers on the way to a field that are places in a list: larger ones may be keys of a dictionary, which are given.
_PLACES = 100_000

#: What is said where pydantic's own sentence repeats something of the value.
_SAID = {
    "byte_size_unit": "Input should be a size with a unit that is known",
    "timezone_offset": "Input should have another offset of its time zone",
    "uuid_parsing": "Input should be a valid UUID",
}


def misfits(error: ValidationError) -> str:
    """Return each field that does not fit, and why: `page: Input should be ...; order: ...`."""
    return "; ".join(_fault(one) for one in error.errors(include_url=False, include_context=False, include_input=False))


def payload_misfits(error: ValidationError, declared: Container[str]) -> str:
    """Return the same of a payload, in one line and without what was given: `page: Input should be ... (came as str)`.

    Such a sentence is logged, recorded and traced, where a payload must not be. Of a value it tells the kind, and of
    the way to it what the type declares: keys of a dictionary are given, too, and stand as `*`. What a validator of
    the model says is told as it is.

    Args:
        error: Pydantic's, whose own text shows values.
        declared: The names that may be told.
    """
    faults = error.errors(include_url=False)
    told = [" ".join(f"{_fault(_discreet(one, declared))}{_came(one)}".split()) for one in faults[:_FIELDS]]
    if len(faults) > _FIELDS:
        told.append(f"and {len(faults) - _FIELDS} more")
    return "; ".join(told)


def _fault(one: Any) -> str:
    return f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _discreet(one: Any, declared: Container[str]) -> dict[str, Any]:
    """Return a fault without what was given, but for what a validator says."""
    said = _SAID.get(one["type"], one["msg"])
    if one["type"] == "union_tag_invalid":  # it repeats the tag that came
        said = "{discriminator} should be one of {expected_tags}".format_map(one["ctx"])
    way = [part if _is_place(part) or part in declared else "*" for part in one["loc"]]
    return {"loc": way, "msg": said}


def _is_place(part: Any) -> bool:
    return isinstance(part, int) and part < _PLACES


def _came(one: Any) -> str:
    """Return what kind of value came."""
    given = one["input"]
    if one["type"] in ("missing", "json_invalid"):
        return ""  # what came is all around it
    return f" (came as {'None' if given is None else type(given).__name__})"
