"""What does not fit a model, as a part of a sentence."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

#: Fields that are named, and letters of a value that are shown.
_FIELDS, _LETTERS = 5, 40


def misfits(error: ValidationError) -> str:
    """Return each field that does not fit, and why: `page: Input should be ...; order: ...`."""
    return "; ".join(_fault(one) for one in error.errors(include_url=False, include_context=False, include_input=False))


def misfits_with_values(error: ValidationError) -> str:
    """Return the same in one line, with what came: `page: Input should be a valid integer (came 'x')`.

    Not for models with secret fields: values are shown.
    """
    faults = error.errors(include_url=False, include_context=False)
    told = [" ".join(f"{_fault(one)}{_came(one)}".split()) for one in faults[:_FIELDS]]
    if len(faults) > _FIELDS:
        told.append(f"and {len(faults) - _FIELDS} more")
    return "; ".join(told)


def _fault(one: Any) -> str:
    return f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _came(one: Any) -> str:
    """Return what came; of what is made of parts, its kind alone."""
    given = one["input"]
    if one["type"] in ("missing", "json_invalid"):
        return ""  # what came is all around it
    if given is None or isinstance(given, (str, bytes, int, float)):
        text = ascii(given)
        return f" (came {text if len(text) <= _LETTERS else text[:_LETTERS] + '...'})"
    return f" (came a {type(given).__name__})"
