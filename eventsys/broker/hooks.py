"""Calling the hooks of the middleware that do something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq import Broker, MessageProxy, Middleware
from dramatiq.middleware import AgeLimit, Callbacks, MiddlewareError, Pipelines, ShutdownNotifications

from .messages import Received

Hook = Callable[..., Any]

#: The hooks that are called around a handler.
_AROUND = ("before_process_message", "after_process_message", "after_skip_message", "before_ack", "before_nack")

#: Hooks of some middleware, in its order.
_Found = tuple[tuple[Middleware, Hook], ...]

_BEFORE, _AFTER = "before_process_message", "after_process_message"

#: Kinds of messages, by class and actor, of which is remembered who is called; actors come and go while code is edited.
_MOST_REMEMBERED = 4096


class Hooks:
    """The hooks that some middleware really has, found once for each signal.

    Dramatiq calls every hook of every middleware for every message, and nearly all of them do nothing. Some do
    something only for messages with an option, of their own or of their actor, or for messages of a kind; around the
    handler of any other message they are not called.
    Errors are treated as Dramatiq does: logged, and the next hook is called.

    Args:
        broker: Whose middleware it is.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._found: dict[str, _Found] = {}
        self._around: dict[tuple[str, type, object, bool], _Found] = {}
        self._asking: frozenset[str] | None = None
        self._may_block: bool | None = None

    def forget(self) -> None:
        """Look again: the middleware changed."""
        self._found, self._around, self._asking, self._may_block = {}, {}, None, None

    def any_for(self, hook: str) -> bool:
        """Say whether any middleware has this hook."""
        found = self._found.get(hook)
        return bool(self._of(hook) if found is None else found)

    @property
    def may_block(self) -> bool:
        """Whether a hook around a handler is of others' making, so that it may wait for anything."""
        if self._may_block is None:
            around = [one for hook in _AROUND for one, _ in self._of(hook)]
            self._may_block = any(not _is_known(one) for one in around)
        return self._may_block

    def before_message(self, message: Received) -> None:
        """Call the hooks before a handler.

        Raises:
            MiddlewareError: What a hook raises to have the handler not called.
        """
        for middleware, call in self._around_handler(_BEFORE, message):
            try:
                call(self._broker, message)
            except MiddlewareError:
                raise
            except Exception:
                self._tell(_BEFORE, middleware)

    def after_message(
        self, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Call the hooks after a handler: all that there are, if it failed."""
        if exception is not None:
            self.call_after(_AFTER, message, exception=exception)
            return
        for middleware, call in reversed(self._around_handler(_AFTER, message)):
            try:
                call(self._broker, message, result=result)
            except Exception:
                self._tell(_AFTER, middleware)

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

    def _of(self, hook: str) -> _Found:
        found = self._found.get(hook)
        if found is None:
            idle = getattr(Middleware, hook, None)
            has = [(one, getattr(one, hook)) for one in self._broker.middleware if hasattr(one, hook)]
            found = self._found[hook] = tuple(
                (one, call) for one, call in has if getattr(call, "__func__", call) is not idle
            )
        return found

    def _around_handler(self, hook: str, message: Any) -> _Found:
        """Return the hooks that do something for a message whose handler is about to run, or has not failed."""
        if not isinstance(message, Received) or message.actor is None:
            return self._of(hook)
        options = message.options
        if options and not self._asked_options().isdisjoint(options):
            return self._of(hook)
        key = (hook, type(message), message.actor, not options)
        found = self._around.get(key)
        return self._find_around(key) if found is None else found

    def _find_around(self, key: tuple[str, type, Any, bool]) -> _Found:
        hook, kind, actor, has_no_options = key
        found = self._of(hook)
        if self._asked_options().isdisjoint(actor.options):
            found = tuple((one, call) for one, call in found if not _must_be_asked(one))
        if has_no_options:
            found = tuple((one, call) for one, call in found if _is_concerned(one, kind))
        if len(self._around) >= _MOST_REMEMBERED:
            self._around.clear()
        self._around[key] = found
        return found

    def _asked_options(self) -> frozenset[str]:
        """Return the options that somebody reads who does nothing for messages without them."""
        if self._asking is None:
            asked = [one for one in self._broker.middleware if _must_be_asked(one)]
            self._asking = frozenset(option for one in asked for option in one.actor_options)
        return self._asking


def is_part_of(middleware: Middleware, worker: Any) -> bool:
    """Say whether middleware is what a worker, Dramatiq's or ours, has added to be told of queues."""
    modules = {kind.__module__ for kind in type(worker).__mro__}
    return type(middleware).__module__ in modules and getattr(middleware, "worker", None) is worker


def added_for_worker(broker: Broker, middleware: Middleware) -> bool:
    """Add middleware that tells some worker of queues, and say whether it is that."""
    worker = getattr(middleware, "worker", None)
    if worker is None or not is_part_of(middleware, worker):
        return False
    broker.middleware.append(middleware)
    for queue_name in broker.get_declared_queues():
        middleware.after_declare_queue(broker, queue_name)
    return True


def let_go_of(broker: Broker, worker: Any) -> None:
    """Tell a worker that ends of no more queues: Dramatiq's would read them on, for threads that are gone."""
    broker.middleware = [one for one in broker.middleware if not is_part_of(one, worker)]


def let_go_of_all(broker: Broker) -> None:
    """Tell no worker of queues: in a forked child they are the parent's, and a queue would be read for nobody."""
    broker.middleware = [one for one in broker.middleware if not is_part_of(one, getattr(one, "worker", None))]


def _must_be_asked(middleware: Middleware) -> bool:
    """Say whether middleware does nothing for a message unless one of the options it reads is there."""
    kind = type(middleware)
    if kind is AgeLimit:
        return not middleware.max_age  # type: ignore[attr-defined]
    if kind is ShutdownNotifications:
        return not middleware.notify_shutdown  # type: ignore[attr-defined]
    return kind is Callbacks or kind is Pipelines


def _is_concerned(middleware: Middleware, kind: type) -> bool:
    """Say whether middleware does anything around the handler of a message that has no options, and does not fail.

    One of ours says so by the kinds of messages it `concerns`; its subclasses may do anything.
    """
    concerns: tuple[type, ...] | None = vars(type(middleware)).get("concerns")
    return concerns is None or issubclass(kind, concerns)


def _is_known(middleware: Middleware) -> bool:
    """Say whether middleware is ours, or one of Dramatiq's that never wait: its subclasses may do anything."""
    kind = type(middleware)
    return kind in {AgeLimit, Callbacks, Pipelines, ShutdownNotifications} or kind.__module__.startswith("eventsys.")
