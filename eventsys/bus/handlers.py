"""Turning what an application decorates into an actor."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from eventsys.broker.actor import HandlerActor
from eventsys.broker.attempt import current_attempt
from eventsys.broker.broker import EventBroker
from eventsys.broker.messages import DeliveryMessage
from eventsys.errors import SubscriptionError
from eventsys.model.envelope import decode_event
from eventsys.model.event import Event
from eventsys.model.subscription import Subscription

ExceptionTypes = type[BaseException] | tuple[type[BaseException], ...]


def callable_of(handler: Any) -> Callable[[Event[Any]], Any]:
    """Return what is called with an event: the handler itself, or its `handle`.

    Raises:
        SubscriptionError: If it is neither a function nor an object with `handle(event)`.
    """
    if inspect.isroutine(handler) or inspect.isfunction(handler):
        return typing.cast("Callable[[Event[Any]], Any]", handler)
    handle = getattr(handler, "handle", None)
    if callable(handle):
        return typing.cast("Callable[[Event[Any]], Any]", handle)
    raise SubscriptionError(
        f"{handler!r} handles no events; give a function, a coroutine function, or an object with handle(event)"
    )


def name_of(handler: Any) -> str:
    """Return the name of a handler's subscription when it is given none: its own `name`, else where it is defined."""
    own = getattr(handler, "name", None)
    if isinstance(own, str) and own:
        return own
    run = callable_of(handler)
    return f"{run.__module__}.{run.__qualname__}"


def home_of(handler: Any) -> str:
    """Return the top package of the module that defines a handler; it names the application's queue."""
    module = callable_of(handler).__module__ or "__main__"
    top = module.partition(".")[0]
    return "main" if top == "__main__" else top


def payload_type_of(handler: Any) -> Any:
    """Return what a handler wants its payload to be: `T` of the annotation `Event[T]`, else a dictionary.

    Raises:
        SubscriptionError: If the handler does not take exactly one event, or its annotation is not an event's.
    """
    run = callable_of(handler)
    parameters = list(inspect.signature(run).parameters.values())
    positional = [one for one in parameters if one.kind in _POSITIONAL]
    required = [one for one in parameters if one.kind in _NAMED and one.default is one.empty]
    if not positional or any(one is not positional[0] for one in required):
        raise SubscriptionError(
            f"{name_of(handler)} must take one argument, the event: def handler(event: Event) -> None"
        )
    try:
        annotation = typing.get_type_hints(run).get(positional[0].name, Event)
    except NameError as error:
        raise SubscriptionError(
            f"the annotations of {name_of(handler)} cannot be resolved ({error}); import what they name at module level"
        ) from error
    return _payload_of(annotation, handler)


def make_actor(
    handler: Any,
    subscription: Subscription,
    broker: EventBroker,
    *,
    retry_on: ExceptionTypes = (),
    give_up_on: ExceptionTypes = (),
) -> HandlerActor:
    """Declare the actor that runs a handler.

    Raises:
        SubscriptionError: If the broker has an actor of that name: two handlers must not share a subscription.
    """
    if subscription.name in broker.actors:
        taken = broker.actors[subscription.name]
        raise SubscriptionError(
            f"two handlers are named {subscription.name!r}: one in {_file_of(taken)}, one in {_file_of(handler)};"
            " give one of them another name="
        )
    run, payload_type = callable_of(handler), payload_type_of(handler)
    is_async = inspect.iscoroutinefunction(run)
    return HandlerActor(
        subscription,
        _awaiting(run, payload_type) if is_async else _calling(run, payload_type),
        handler=handler,
        broker=broker,
        is_async=is_async,
        policy=subscription.retry_policy,
        retry_on=_as_tuple(retry_on),
        give_up_on=_as_tuple(give_up_on),
        timeout_ms=subscription.timeout_ms,
    )


_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _payload_of(annotation: Any, handler: Any) -> Any:
    if annotation is Event or annotation is Any:
        return dict[str, Any]
    if isinstance(annotation, type) and issubclass(annotation, Event):
        arguments = annotation.__pydantic_generic_metadata__["args"]
        return arguments[0] if arguments else dict[str, Any]
    raise SubscriptionError(
        f"{name_of(handler)} asks for {annotation!r}; annotate its argument as Event or Event[YourModel]"
    )


def _calling(run: Callable[[Event[Any]], Any], payload_type: Any) -> Callable[[str], Any]:
    def call(envelope: str) -> Any:
        return run(decode_event(envelope, payload_type, is_replay=_is_replay()))

    return call


def _awaiting(run: Callable[[Event[Any]], Any], payload_type: Any) -> Callable[[str], Any]:
    async def call(envelope: str) -> Any:
        return await run(decode_event(envelope, payload_type, is_replay=_is_replay()))

    return call


def _is_replay() -> bool:
    """Say whether the delivery under attempt gives history again."""
    attempt = current_attempt()
    return attempt is not None and isinstance(attempt.message, DeliveryMessage) and attempt.message.replay > 0


def _as_tuple(types: ExceptionTypes) -> tuple[type[BaseException], ...]:
    return types if isinstance(types, tuple) else (types,)


def _file_of(one: Any) -> str:
    handler = getattr(one, "handler", None) or getattr(one, "fn", one)
    try:
        run = callable_of(handler)
    except SubscriptionError:
        return repr(one)
    code = getattr(inspect.unwrap(run), "__code__", None)
    return repr(run) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
