"""Which hooks of the middleware are worth calling."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dramatiq import Middleware

Hook = Callable[..., Any]


class Hooks:
    """The hooks that some middleware really has, found once for each signal.

    Dramatiq calls every hook of every middleware for every message, and nearly all of them do nothing.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[tuple[Any, Hook], ...]] = {}

    def forget(self) -> None:
        """Look again: the middleware changed."""
        self._found = {}

    def of(self, signal: str, middleware: Iterable[Any]) -> tuple[tuple[Any, Hook], ...]:
        """Return the hooks for a signal, each with the middleware it belongs to, in the order of `middleware`."""
        found = self._found.get(signal)
        if found is None:
            idle = getattr(Middleware, signal, None)
            hooks = [(one, getattr(one, signal)) for one in middleware if hasattr(one, signal)]
            found = tuple((one, hook) for one, hook in hooks if getattr(hook, "__func__", hook) is not idle)
            self._found[signal] = found
        return found
