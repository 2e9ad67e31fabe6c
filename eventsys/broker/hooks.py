"""Calling the hooks of the middleware that do something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq import Broker, Middleware
from dramatiq.middleware import MiddlewareError

Hook = Callable[..., Any]


class Hooks:
    """The hooks that some middleware really has, found once for each signal.

    Dramatiq calls every hook of every middleware for every message, and nearly all of them do nothing. Errors are
    treated as Dramatiq does: logged, and the next hook is called.

    Args:
        broker: Whose middleware it is.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._found: dict[str, tuple[tuple[Any, Hook], ...]] = {}

    def forget(self) -> None:
        """Look again: the middleware changed."""
        self._found = {}

    def any_for(self, hook: str) -> bool:
        """Say whether any middleware has this hook."""
        return bool(self._of(hook))

    def call_before(self, hook: str, *args: Any, **kwargs: Any) -> None:
        """Call a hook of every middleware, first to last.

        Raises:
            MiddlewareError: What a hook raises to stop what was about to happen.
        """
        for middleware, call in self._of(hook):
            try:
                call(self._broker, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:
                self._tell(hook, middleware)

    def call_after(self, hook: str, *args: Any, **kwargs: Any) -> None:
        """Call a hook of every middleware, last to first."""
        for middleware, call in reversed(self._of(hook)):
            try:
                call(self._broker, *args, **kwargs)
            except Exception:
                self._tell(hook, middleware)

    def _tell(self, hook: str, middleware: Any) -> None:
        self._broker.logger.critical("Unexpected failure in %s of %r.", hook, middleware, exc_info=True)  # noqa: LOG014 - called where it was caught

    def _of(self, hook: str) -> tuple[tuple[Any, Hook], ...]:
        found = self._found.get(hook)
        if found is None:
            idle = getattr(Middleware, hook, None)
            has = [(one, getattr(one, hook)) for one in self._broker.middleware if hasattr(one, hook)]
            found = tuple((one, call) for one, call in has if getattr(call, "__func__", call) is not idle)
            self._found[hook] = found
        return found
