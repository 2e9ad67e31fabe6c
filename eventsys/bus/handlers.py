"""Turning what an application decorates into an actor."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from eventsys.broker.actor import Batching, HandlerActor, refuse_coroutine
from eventsys.broker.attempt import current_attempt
from eventsys.broker.batch_errors import failures_of
from eventsys.broker.broker import EventBroker
from eventsys.broker.messages import DeliveryMessage
from eventsys.errors import BatchError, SubscriptionError
from eventsys.model.envelope import decode_event, open_event
from eventsys.model.event import Event
from eventsys.model.subscription import Subscription

ExceptionTypes = type[BaseException] | Collection[type[BaseException]]


class HandlesEvents(Protocol):
    """An object that is subscribed in place of a function."""

    @property
    def handle(self) -> Callable[..., Any]:
        """A function or a coroutine function of one argument, the event."""


Handler = TypeVar("Handler", bound=Callable[..., Any] | HandlesEvents)


def callable_of(handler: Any) -> Callable[[Any], Any]:
    """Return what is called with an event, or a list of them: the handler itself, or its `handle`.

    Raises:
        SubscriptionError: If it is neither a function nor an object with `handle(event)`.
    """
    if inspect.isroutine(handler) or inspect.isfunction(handler):
        return typing.cast("Callable[[Any], Any]", handler)
    handle = getattr(handler, "handle", None)
    if callable(handle):
        return typing.cast("Callable[[Any], Any]", handle)
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


def payload_type_of(handler: Any, *, in_batches: bool = False) -> Any:
    """Return what a handler wants its payload to be: `T` of the annotation `Event[T]`, else a dictionary.

    Args:
        handler: The handler.
        in_batches: Whether it is to take a list of events: then the annotation is `list[Event[T]]`.

    Raises:
        SubscriptionError: If the handler does not take exactly one argument, or it is not annotated as what it gets.
    """
    run = callable_of(handler)
    refuse_generator(run)
    parameters = list(inspect.signature(run).parameters.values())
    positional = [one for one in parameters if one.kind in _POSITIONAL]
    required = [one for one in parameters if one.kind in _NAMED and one.default is one.empty]
    if not positional or any(one is not positional[0] for one in required):
        wanted = "the list of events: def handler(events: list[Event])" if in_batches else _TAKES_ONE
        raise SubscriptionError(f"{name_of(handler)} must take one argument, {wanted} -> None")
    try:
        annotation = typing.get_type_hints(run).get(positional[0].name, Any)
    except NameError as error:
        raise SubscriptionError(
            f"the annotations of {name_of(handler)} cannot be resolved ({error}); import what they name at module level"
        ) from error
    return _payload_of(_element_of(annotation, handler) if in_batches else annotation, handler, in_batches=in_batches)


def refuse_generator(run: Callable[..., Any]) -> None:
    """Refuse a function that yields: calling it runs nothing of it, so every delivery would succeed undone.

    Raises:
        SubscriptionError: If it does.
    """
    if inspect.isgeneratorfunction(run) or inspect.isasyncgenfunction(run):
        raise SubscriptionError(
            f"{name_of(run)} has a yield in it, so calling it would run nothing of it; leave out the yield, and call"
            " events.publish for what it is to pass on"
        )


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
        SubscriptionError: If the broker has an actor of that name: two handlers must not share a subscription. Or if
            the handler, or what it is to be tried again on, will not do.
    """
    if subscription.name in broker.actors:
        taken = broker.actors[subscription.name]
        raise SubscriptionError(
            f"two handlers are named {subscription.name!r}: one in {_file_of(taken)}, one in {_file_of(handler)};"
            " give one of them another name="
        )
    size = subscription.batch_size
    run, payload_type = callable_of(handler), payload_type_of(handler, in_batches=size is not None)
    is_async = inspect.iscoroutinefunction(run)
    broker.has_batches = broker.has_batches or size is not None
    alone = run if size is None else (_awaiting_list(run) if is_async else _calling_list(run))
    batching = None if size is None else Batching(size, (subscription.batch_wait_ms or 0) / 1000, run, payload_type)
    with broker.declaring:  # its queue is declared first, and must not be left before it is there
        return HandlerActor(
            subscription,
            _awaiting(alone, payload_type) if is_async else _calling(alone, payload_type),
            batching=batching,
            handler=handler,
            broker=broker,
            is_async=is_async,
            policy=subscription.retry_policy,
            retry_on=_as_tuple("retry_on", retry_on),
            give_up_on=_as_tuple("give_up_on", give_up_on),
            timeout_ms=subscription.timeout_ms,
        )


#: The attribute of a function of ours that is declared in place of one of the application's: that one.
STANDS_FOR = "stands_for"

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_TAKES_ONE = "the event: def handler(event: Event)"
_LISTS = (list, Sequence, Collection, Iterable)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _element_of(annotation: Any, handler: Any) -> Any:
    """Return what a list is of, by the annotation of a handler that takes batches."""
    origin = typing.get_origin(annotation) or annotation
    if origin is Any:
        return Any
    if origin not in _LISTS:
        raise SubscriptionError(
            f"{name_of(handler)} asks for {inspect.formatannotation(annotation)}, and batch_size gives it a list:"
            " annotate its argument as list[Event] or list[Event[YourModel]], or leave out batch_size"
        )
    return (typing.get_args(annotation) or (Any,))[0]


def _payload_of(annotation: Any, handler: Any, *, in_batches: bool) -> Any:
    if annotation is Event or annotation is Any:
        return dict[str, Any]
    if isinstance(annotation, type) and issubclass(annotation, Event):
        arguments = annotation.__pydantic_generic_metadata__["args"]
        return arguments[0] if arguments else dict[str, Any]
    if not in_batches and (typing.get_origin(annotation) or annotation) in _LISTS:
        raise SubscriptionError(
            f"{name_of(handler)} asks for {inspect.formatannotation(annotation)}, and gets one event: give batch_size,"
            " the most events of one call, or annotate its argument as Event or Event[YourModel]"
        )
    wanted = "list[Event] or list[Event[YourModel]]" if in_batches else "Event or Event[YourModel]"
    raise SubscriptionError(
        f"{name_of(handler)} asks for {inspect.formatannotation(annotation)}; annotate its argument as {wanted}"
    )


def _calling(run: Callable[[Event[Any]], Any], payload_type: Any) -> Callable[[str], Any]:
    def call(envelope: str) -> Any:
        result = run(_event_of(envelope, payload_type))
        return result if result is None else refuse_coroutine(result, name_of(run))

    return call


def _awaiting(run: Callable[[Event[Any]], Any], payload_type: Any) -> Callable[[str], Any]:
    async def call(envelope: str) -> Any:
        return await run(_event_of(envelope, payload_type))

    return call


# A batch of one, for whatever hands out deliveries one by one: the stock worker, and suspects under every worker.


def _calling_list(run: Callable[[list[Event[Any]]], Any]) -> Callable[[Event[Any]], Any]:
    def call(event: Event[Any]) -> Any:
        try:
            return run([event])
        except BatchError as error:
            failures = failures_of(error, {event.id})
        return _raise_any(failures)

    return call


def _awaiting_list(run: Callable[[list[Event[Any]]], Any]) -> Callable[[Event[Any]], Any]:
    async def call(event: Event[Any]) -> Any:
        try:
            return await run([event])
        except BatchError as error:
            failures = failures_of(error, {event.id})
        return _raise_any(failures)

    return call


def _raise_any(failures: dict[str, BaseException]) -> None:
    for error in failures.values():
        raise error


def _event_of(envelope: str, payload_type: Any) -> Event[Any]:
    """Return the event that a handler is called with; of a delivery under attempt all but the payload is read."""
    attempt = current_attempt()
    message = None if attempt is None else attempt.message
    if not isinstance(message, DeliveryMessage):
        return decode_event(envelope, payload_type)
    if message.envelope is not envelope:
        return decode_event(envelope, payload_type, is_replay=message.replay > 0)
    return open_event(message.header, payload_type, is_replay=message.replay > 0)


def _as_tuple(option: str, given: Any) -> tuple[type[BaseException], ...]:
    """Return exception types as a tuple; what is none would make every failure of the handler one of ours."""
    types = tuple(given) if isinstance(given, (tuple, list, set, frozenset)) else (given,)
    for one in types:
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise SubscriptionError(f"{option} takes exception types, not {ascii(one)[:80]}: {option}=(TimeoutError,)")
    return types


def _file_of(one: Any) -> str:
    handler = getattr(one, "handler", None) or getattr(one, "fn", one)
    try:
        run = callable_of(handler)
    except SubscriptionError:
        return repr(one)
    code = getattr(inspect.unwrap(getattr(run, STANDS_FOR, run)), "__code__", None)
    return repr(run) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
