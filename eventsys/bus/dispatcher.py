"""The dispatcher: gives every matching subscription its own delivery."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dramatiq import Actor

from eventsys.broker.attempt import current_attempt
from eventsys.broker.broker import EventBroker
from eventsys.broker.messages import DISPATCHER, LogMessage
from eventsys.bus.router import Router
from eventsys.errors import PayloadEncryptedError, RedisUnavailableError
from eventsys.store.keys import LOG_QUEUE

#: Seconds between tries to read the subscriptions while Redis is away.
_RETRY_S = 0.25

#: Seconds before an event is handed back whose payload a filter has to look at, and that cannot be decrypted here.
_BLIND_S = 1.0

logger = logging.getLogger(__name__)


class Dispatcher(Actor[..., None]):
    """The actor whose queue is the event log.

    It only computes where an event goes and notes that on the message. The commit then adds the deliveries and
    acknowledges the event in one step, so there is exactly one delivery for each subscription however often the
    dispatcher dies or runs twice.

    Args:
        broker: Where it is declared.
        router: What knows the subscriptions.
        when_blind: Called when a filter has to look at a payload that no key of this process opens.
    """

    def __init__(self, broker: EventBroker, router: Router, when_blind: Callable[[], None] = lambda: None) -> None:
        self._when_blind = when_blind
        self._router = router
        self._never = threading.Event()
        super().__init__(
            self._dispatch, broker=broker, actor_name=DISPATCHER, queue_name=LOG_QUEUE, priority=0, options={}
        )

    def __call__(self, *args: str, **kwargs: str) -> None:
        """Resolve the event under attempt."""
        self.fn(*args, **kwargs)

    def resolve(self, message: LogMessage) -> None:
        """Note on a message where its event goes.

        Raises:
            InvalidEventError: If the event cannot be read.
            PayloadEncryptedError: If a filter has to look at a payload that no key of this process opens.
        """
        while True:
            try:
                route = self._router.route(message.envelope)
            except RedisUnavailableError as error:
                logger.warning("dispatch waits for Redis: %s", error, extra={"action": "dispatch_waits"})
                self._never.wait(_RETRY_S)
            else:
                message.event_id, message.event_type, message.version, message.targets = route
                return

    def resolve_again(self, message: LogMessage) -> None:
        """Note where its event goes by the subscriptions as they are now: they changed before the commit."""
        try:
            self._router.refresh(older_than=message.version)
        except RedisUnavailableError as error:
            logger.warning("dispatch waits for Redis: %s", error, extra={"action": "dispatch_waits"})
            self._never.wait(_RETRY_S)
        self.resolve(message)

    def _dispatch(self, envelope: str) -> None:  # noqa: ARG002 - the message under attempt has it
        attempt = current_attempt()
        if attempt is None or not isinstance(attempt.message, LogMessage):
            return
        try:
            self.resolve(attempt.message)
        except PayloadEncryptedError:
            # Another dispatcher may have the key. The pause keeps the event from going round in a hot loop.
            self._when_blind()
            self._never.wait(_BLIND_S)
            raise
