"""Calling the hooks of the middleware that do something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq import Broker, Middleware
from dramatiq.middleware import AgeLimit, Callbacks, MiddlewareError, Pipelines, ShutdownNotifications

from .messages import Received

Hook = Callable[..., Any]

#: The hooks that are called around a handler.
_AROUND = ("before_process_message", "after_process_message", "after_skip_message", "before_ack", "before_nack")

#: Hooks of some middleware, in its order.
_Found = tuple[tuple[Middleware, Hook], ...]


class Hooks:
    """The hooks that some middleware really has, found once for each signal.

    Dramatiq calls every hook of every middleware for every message, and nearly all of them do nothing. Some of its own
    do nothing but for messages with an option, of their own or of their actor; for all others they are not called.
    Errors are treated as Dramatiq does: logged, and the next hook is called.

    Args:
        broker: Whose middleware it is.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._found: dict[str, _Found] = {}
        self._usual: dict[str, _Found] = {}
        self._asking = frozenset[str]()
        self._may_block: bool | None = None

    def forget(self) -> None:
        """Look again: the middleware changed."""
        self._found, self._usual, self._may_block = {}, {}, None

    def any_for(self, hook: str) -> bool:
        """Say whether any middleware has this hook."""
        return bool(self._of(hook))

    @property
    def may_block(self) -> bool:
        """Whether a hook around a handler is of others' making, so that it may wait for anything."""
        if self._may_block is None:
            around = [one for hook in _AROUND for one, _ in self._of(hook)]
            self._may_block = any(not _is_known(one) for one in around)
        return self._may_block

    def call_before(self, hook: str, *args: Any, **kwargs: Any) -> None:
        """Call a hook of every middleware, first to last.

        Raises:
            MiddlewareError: What a hook raises to stop what was about to happen.
        """
        for middleware, call in self._called(hook, args):
            try:
                call(self._broker, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:
                self._tell(hook, middleware)

    def call_after(self, hook: str, *args: Any, **kwargs: Any) -> None:
        """Call a hook of every middleware, last to first."""
        for middleware, call in reversed(self._called(hook, args)):
            try:
                call(self._broker, *args, **kwargs)
            except Exception:
                self._tell(hook, middleware)

    def _tell(self, hook: str, middleware: Any) -> None:
        self._broker.logger.critical("Unexpected failure in %s of %r.", hook, middleware, exc_info=True)  # noqa: LOG014 - called where it was caught

    def _called(self, hook: str, args: tuple[Any, ...]) -> _Found:
        found = self._found.get(hook)
        if found is None:
            found = self._of(hook)
        if not args or not isinstance(args[0], Received) or hook not in self._usual:
            return found
        message = args[0]
        if message.actor is None or not self._asking.isdisjoint(message.options):
            return found
        return self._usual[hook] if self._asking.isdisjoint(message.actor.options) else found

    def _of(self, hook: str) -> _Found:
        found = self._found.get(hook)
        if found is None:
            idle = getattr(Middleware, hook, None)
            has = [(one, getattr(one, hook)) for one in self._broker.middleware if hasattr(one, hook)]
            found = tuple((one, call) for one, call in has if getattr(call, "__func__", call) is not idle)
            self._find_usual(hook, found)
            self._found[hook] = found
        return found

    def _find_usual(self, hook: str, found: _Found) -> None:
        asked = [one for one, _ in found if _must_be_asked(one)]
        if asked and hook.endswith("_process_message"):
            self._asking = self._asking.union(*(one.actor_options for one in asked))
            self._usual[hook] = tuple((one, call) for one, call in found if one not in asked)


def is_part_of(middleware: Middleware, worker: Any) -> bool:
    """Say whether middleware is what a worker, Dramatiq's or ours, has added to be told of queues."""
    modules = {kind.__module__ for kind in type(worker).__mro__}
    return type(middleware).__module__ in modules and getattr(middleware, "worker", None) is worker


def _must_be_asked(middleware: Middleware) -> bool:
    """Say whether middleware does nothing for a message unless one of the options it reads is there."""
    kind = type(middleware)
    if kind is AgeLimit:
        return not middleware.max_age  # type: ignore[attr-defined]
    if kind is ShutdownNotifications:
        return not middleware.notify_shutdown  # type: ignore[attr-defined]
    return kind is Callbacks or kind is Pipelines


def _is_known(middleware: Middleware) -> bool:
    """Say whether middleware is ours, or one of Dramatiq's that never wait: its subclasses may do anything."""
    kind = type(middleware)
    return kind in {AgeLimit, Callbacks, Pipelines, ShutdownNotifications} or kind.__module__.startswith("eventsys.")
