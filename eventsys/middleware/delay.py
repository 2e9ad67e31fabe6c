"""Sending what is delayed to the delayed store."""

from __future__ import annotations

from typing import Any

from dramatiq import Broker, Message, Middleware


class Delay(Middleware):
    """Gives a message with a delay or an eta its due time; the broker keeps such a message in the delayed store.

    So there are no delay queues, and no worker holds in its memory what is due later.
    """

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:  # noqa: ARG002
        """Note when the message is due, in milliseconds since 1970."""
        eta = message.options.get("eta")
        if isinstance(eta, (int, float)):
            message.options["due_ms"] = int(eta) if abs(eta) < float("inf") else eta
