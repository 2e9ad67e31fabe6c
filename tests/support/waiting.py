"""Waiting for something to become so, since tests never wait for time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from eventsys.broker.joining import wait_until

T = TypeVar("T")


def eventually(claim: Callable[[], T], *, timeout_s: float = 120.0) -> T:
    """Return what `claim` returns as soon as that is true.

    Raises:
        AssertionError: If it is not within `timeout_s`.
    """
    seen: list[T] = []

    def holds() -> bool:
        seen[:] = [claim()]
        return bool(seen[0])

    assert wait_until(holds, int(timeout_s * 1000)), f"still {seen[0]!r} after {timeout_s} s"
    return seen[0]
