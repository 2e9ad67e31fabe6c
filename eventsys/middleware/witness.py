"""Telling somebody how every attempt of this process ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from dramatiq import Broker, MessageProxy, Middleware
from dramatiq.errors import ActorNotFound

from eventsys.broker.messages import DeliveryMessage, Received

Outcome = Literal["succeeded", "failed", "dead", "unhosted", "expired"]
"""What became of an attempt: `failed` is tried again, `dead` is not, `unhosted` waits for a host of the handler, and
`expired` was too late to begin."""

Tell = Callable[[Received, Outcome, BaseException | None], None]


class Witness(Middleware):
    """Calls `tell` after the commit of every attempt; what Redis did not take down is not told.

    Args:
        tell: Called with the message, what became of it, and what the handler raised.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def after_ack(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Tell of an attempt that succeeded, was not begun, or is followed by another one."""
        if isinstance(message, Received):
            self._tell(message, _kept_outcome(message), message.error)

    def after_nack(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Tell of an attempt that is not followed by another one."""
        if isinstance(message, Received):
            is_unhosted = isinstance(message.error, ActorNotFound)
            self._tell(message, "unhosted" if is_unhosted else "dead", message.error)


def _kept_outcome(message: Received) -> Outcome:
    if isinstance(message, DeliveryMessage) and message.is_expired:
        return "expired"
    return "failed" if message.attempt is not None and message.attempt.retry is not None else "succeeded"
