"""How long an attempt took."""

from __future__ import annotations

import time
from typing import Any

from dramatiq import Broker, MessageProxy, Middleware

from eventsys.broker.messages import Received


class Outcome(Middleware):
    """Measures the handler; the commit writes it down with the outcome."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Start the stopwatch."""
        if isinstance(message, Received):
            message.began_ns = time.perf_counter_ns()

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002
        message: MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,  # noqa: ARG002
    ) -> None:
        """Stop it."""
        if isinstance(message, Received):
            message.took_us = (time.perf_counter_ns() - message.began_ns) // 1000
