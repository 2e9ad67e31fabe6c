"""How long a handler may run."""

from __future__ import annotations

from typing import Any

from dramatiq import Broker, MessageProxy, Middleware

from eventsys.broker.actor import HandlerActor
from eventsys.broker.broker import EventBroker
from eventsys.broker.messages import LogMessage, Received

#: The limit of a plain actor that names none, in milliseconds; Dramatiq's own default.
PLAIN_LIMIT_MS = 600_000

#: The longest that anything waits for, in milliseconds: thirty years, which every clock can tell.
_LONGEST_MS = 30 * 365 * 24 * 3600 * 1000


class Timeout(Middleware):
    """Ends an attempt when its limit is over; it counts as failed.

    A handler's limit is its subscription's `timeout`, a plain actor's its `time_limit` in milliseconds.

    Args:
        time_limit: For plain actors that name none, in milliseconds.
    """

    def __init__(self, *, time_limit: float = PLAIN_LIMIT_MS) -> None:
        self.time_limit = time_limit

    @property
    def actor_options(self) -> set[str]:
        """The option of plain actors that this reads."""
        return {"time_limit"}

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Begin to watch, unless the attempt runs on the event loop, which watches its own."""
        if not isinstance(broker, EventBroker) or not isinstance(message, Received) or isinstance(message, LogMessage):
            return
        limit_ms = time_limit_ms(message, usual_ms=self.time_limit)
        if limit_ms is not None and not message.is_on_loop:
            broker.interrupts.enter(message, limit_ms)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Stop watching a message that another middleware skipped."""
        if isinstance(broker, EventBroker):
            broker.interrupts.leave()


def time_limit_ms(message: Received, *, usual_ms: float = PLAIN_LIMIT_MS) -> float | None:
    """Return how long the handler of a message may run, None for as long as it takes.

    Args:
        message: The message.
        usual_ms: The limit of a plain actor that names none.
    """
    actor: Any = message.actor
    if isinstance(actor, HandlerActor):
        return actor.timeout_ms
    limit = message.options.get("time_limit") or (actor.options.get("time_limit") if actor else None)
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
        limit = usual_ms  # none is said, or a stranger wrote what is no time
    return None if limit == float("inf") else float(min(limit, _LONGEST_MS))
