"""Which event led to which."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from dramatiq import Broker, Message, MessageProxy, Middleware

from eventsys.broker.batch import Batch
from eventsys.broker.messages import DeliveryMessage


class Chain(NamedTuple):
    """The place of an attempt in a chain of events.

    Attributes:
        correlation_id: Shared by the whole chain.
        causation_id: The event that is being handled.
        depth: How many events led to that one.
        traceparent: Its trace, in the W3C's form, if it has one.
    """

    correlation_id: str | None
    causation_id: str | None
    depth: int
    traceparent: str | None = None


_chain: ContextVar[Chain | None] = ContextVar("eventsys_chain", default=None)


# What was forked by a handler, a pool of processes perhaps, lives on for others: nothing there is caused by that event.
os.register_at_fork(after_in_child=lambda: _chain.set(None))


def current_chain() -> Chain | None:
    """Return the chain that what is published here belongs to, or None outside of every attempt."""
    return _chain.get()


def enter_chain(chain: Chain | None) -> Any:
    """Make `chain` the current one, and return the token that ends this."""
    return _chain.set(chain)


def leave_chain(token: Any) -> None:
    """Make the chain current again that was before `enter_chain`."""
    _chain.reset(token)


class Correlation(Middleware):
    """Lets what a handler publishes inherit the correlation id, and take the handled event as its cause.

    A plain actor that a handler sends to carries both on.
    """

    #: The kinds of messages that this does something for, when they carry no options and do not fail.
    concerns = (DeliveryMessage, Batch)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Make the message's chain the current one."""
        if isinstance(message, DeliveryMessage):
            header = message.header
            _chain.set(Chain(header.chain_id, header.id, header.depth, header.headers.get("traceparent")))
        elif isinstance(message, Batch):
            _chain.set(_common_chain(message.deliveries))
        elif (carried := message.options.get("chain")) is not None:
            _chain.set(Chain(*carried))

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:  # noqa: ARG002
        """Give a message to a plain actor the chain it is sent from."""
        chain = _chain.get()
        if chain is not None and not isinstance(message, DeliveryMessage):
            message.options.setdefault("chain", list(chain))

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002
        message: MessageProxy,  # noqa: ARG002
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,  # noqa: ARG002
    ) -> None:
        """End the chain with the attempt, so that it does not leak into the thread's next one."""
        _chain.set(None)

    after_skip_message = after_process_message


def _common_chain(deliveries: Sequence[DeliveryMessage]) -> Chain:
    """Return the chain of what a batch publishes: what its events have in common, behind the last of them.

    Which of several events led to another one, nobody but the handler knows. That a chain goes round in circles is
    noticed by its depth, so that is always carried on.
    """
    headers = [one.header for one in deliveries]
    correlation_ids = {header.chain_id for header in headers}
    common = headers[0] if len(headers) == 1 else None
    return Chain(
        correlation_ids.pop() if len(correlation_ids) == 1 else None,
        None if common is None else common.id,
        max(header.depth for header in headers),
        None if common is None else common.headers.get("traceparent"),
    )
