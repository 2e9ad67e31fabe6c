"""What does not fit a model, as a part of a sentence."""

from __future__ import annotations

from pydantic import ValidationError


def misfits(error: ValidationError) -> str:
    """Return each field that does not fit, and why: `page: Input should be ...; order: ...`."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    )
