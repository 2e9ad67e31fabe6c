"""Refusing what a caller gave in place of something else, before it is looked into or sent anywhere."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def expect_id(given: Any) -> str:
    """Return the id of an event as it was given.

    Raises:
        TypeError: If it is no text: an event itself, most likely.
    """
    if isinstance(given, str):
        return given
    advice = "give its .id" if isinstance(getattr(given, "id", None), str) else "use str(...)"
    raise TypeError(f"an event is named by its id, which is text, not {type(given).__name__}: {advice}")


def expect(kind: type[T], given: Any) -> T:
    """Return what was given if it is of this kind.

    Raises:
        TypeError: If it is something else, a dictionary of the same fields, say.
    """
    if isinstance(given, kind):
        return given
    raise TypeError(f"{kind.__name__}(...) is wanted here, not {type(given).__name__}")
