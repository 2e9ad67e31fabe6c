"""The actor that an event handler becomes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from dramatiq import Actor, Broker

from eventsys.errors import SubscriptionError
from eventsys.model.cron_task import CronDefinition
from eventsys.model.filters import PayloadFilter
from eventsys.model.retry_policy import RetryPolicy
from eventsys.model.subscription import Subscription


class Batching(NamedTuple):
    """How deliveries are handled many at a time.

    Attributes:
        size: The most of one call.
        wait_s: The longest a batch waits for more, from its first delivery on.
        run: Called with a list of events; a coroutine function when the handler is one.
        payload_type: What their payloads are.
    """

    size: int
    wait_s: float
    run: Callable[[list[Any]], Any]
    payload_type: Any


def refuse_coroutine(result: Any, name: str) -> Any:
    """Return what a plain handler returned.

    Raises:
        SubscriptionError: If that is a coroutine: its call did nothing, and nobody would run it.
    """
    if result is not None and inspect.iscoroutine(result):
        result.close()
        raise SubscriptionError(
            f"{name} returned a coroutine, which nobody runs: make it a coroutine function with async def,"
            " and what decorates it one that awaits"
        )
    return result


class HandlerActor(Actor[..., Any]):
    """A handler as Dramatiq sees it: called with the stored form of an event, it hands the event to the handler.

    Attributes:
        subscription: What it subscribes to; its number is 0 until the subscription is known to Redis.
        run: Called with the envelope; a coroutine function when the handler is one.
        batching: How it takes many deliveries at once; None: it takes them one by one.
        handler: What the application wrote.
        is_async: Whether `run` is a coroutine function.
        policy: When it is tried again.
        retry_on: Exceptions worth another attempt; empty: all.
        give_up_on: Exceptions that end the delivery at once.
        cron: The cron task whose runs it handles, where `@events.cron` declared it.
    """

    def __init__(
        self,
        subscription: Subscription,
        run: Callable[[str], Any],
        *,
        batching: Batching | None = None,
        handler: Any = None,
        broker: Broker,
        is_async: bool,
        policy: RetryPolicy,
        retry_on: tuple[type[BaseException], ...] = (),
        give_up_on: tuple[type[BaseException], ...] = (),
        timeout_ms: int | None = None,
    ) -> None:
        self.subscription = subscription
        self.run = run
        self.batching = batching
        self.handler = handler
        self.is_async = is_async
        self.policy = policy
        self.retry_on = retry_on
        self.give_up_on = give_up_on
        self.timeout_ms = timeout_ms
        self.cron: CronDefinition | None = None
        super().__init__(
            run,
            broker=broker,
            actor_name=subscription.name,
            queue_name=subscription.queue,
            priority=0,
            options={},
        )

    @cached_property
    def payload_filter(self) -> PayloadFilter | None:
        """The filter of its subscription, compiled."""
        return self.subscription.payload_filter

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Handle one delivery, without Dramatiq's debug lines, which print the arguments."""
        return self.fn(*args, **kwargs)
