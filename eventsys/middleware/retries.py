"""Whether a failed attempt is followed by another one."""

from __future__ import annotations

import logging
from datetime import timedelta
from random import Random
from typing import Any

import dramatiq
from dramatiq import Broker, MessageProxy
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import Retries as DramatiqRetries

from eventsys.broker.actor import HandlerActor
from eventsys.broker.batch import Batch
from eventsys.broker.messages import DeliveryMessage, LogMessage
from eventsys.errors import InvalidDurationError, InvalidPayloadError, Reject, Retry
from eventsys.model.durations import to_milliseconds
from eventsys.model.retry_policy import RetryPolicy

logger = logging.getLogger(__name__)


class Retries(DramatiqRetries):
    """Decides after a failure: again at a later time, or a dead letter.

    It only enqueues the message again, or marks it as failed; the commit does what was decided, in the same step that
    gives the message up. For deliveries the subscription's policy decides, for plain actors Dramatiq's own rules.

    Args:
        random: Where jitter comes from.
        **options: Dramatiq's, for plain actors.
    """

    #: The kinds of messages that this does something for, when they carry no options and do not fail: none.
    concerns = ()

    def __init__(self, *, random: Random | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._random = random or Random()  # noqa: S311 - spreads retries, guards nothing

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Enqueue the message again, or mark it as failed, when its handler raised.

        What goes wrong in that, with numbers in the message that are no times, gives the message up: it would count as
        a success, since what a hook raises is logged and passed over.
        """
        if exception is None or isinstance(message, (LogMessage, Batch)):
            return
        try:
            self._decide(broker, message, result, exception)
        except Exception:
            logger.exception(
                "no other attempt at %s can be planned; it is given up", message,
                extra={"action": "retry_impossible", "message_id": message.message_id},
            )  # fmt: skip
            message.fail()

    def _decide(self, broker: Broker, message: MessageProxy, result: Any, exception: BaseException) -> None:
        if isinstance(message, DeliveryMessage) and isinstance(exception, ActorNotFound):
            message.fail()  # its handler is gone: it waits for a process that has it, or is cancelled
        elif isinstance(exception, Reject) or (isinstance(message, DeliveryMessage) and message.is_inline):
            message.fail()
        elif isinstance(message, DeliveryMessage):
            self._judge(broker, message, exception)
        else:
            if isinstance(exception, Retry):
                exception = dramatiq.Retry(str(exception), delay=_asked_ms(exception))
            super().after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]

    def after_batched_failure(self, broker: Broker, message: MessageProxy, *, exception: BaseException | None) -> None:
        """Decide about a delivery that failed in a batch, as if it had failed alone."""
        self.after_process_message(broker, message, exception=exception)

    def _judge(self, broker: Broker, message: DeliveryMessage, exception: BaseException) -> None:
        wait = self._wait_after(message, exception)
        if wait is None:
            message.fail()
        else:
            broker.enqueue(message, delay=to_milliseconds(wait))  # type: ignore[arg-type]

    def _wait_after(self, message: DeliveryMessage, exception: BaseException) -> timedelta | None:
        actor = message.actor
        if not isinstance(actor, HandlerActor) or isinstance(exception, InvalidPayloadError):
            return None
        if actor.give_up_on and isinstance(exception, actor.give_up_on):
            return None
        asked_again = isinstance(exception, (Retry, dramatiq.Retry))
        if actor.retry_on and not asked_again and not isinstance(exception, actor.retry_on):
            return None
        wait = _policy(actor, message).wait_before(message.previous + 2, random=self._random)
        if wait is None:
            return None
        if isinstance(exception, Retry) and (asked_ms := _asked_ms(exception)) is not None:
            return timedelta(milliseconds=asked_ms)
        if isinstance(exception, dramatiq.Retry) and exception.delay is not None:
            return timedelta(milliseconds=exception.delay)
        return wait


def _asked_ms(retry: Retry) -> int | None:
    """Return the wait that a handler asked for, in ms; None for the usual one, as where it asked for no duration."""
    if retry.delay is None:
        return None
    try:
        return to_milliseconds(retry.delay)
    except InvalidDurationError as error:
        logger.error(
            "a handler asked for another attempt after no duration: %s", error, extra={"action": "retry_asked"}
        )
        return None


def _policy(actor: HandlerActor, message: DeliveryMessage) -> RetryPolicy:
    """Return the subscription's policy, with what the publisher said for this event in its place."""
    header = message.header
    if header.max_retries is None and header.retry_delay_ms is None:
        return actor.policy
    said: dict[str, Any] = {}
    if header.max_retries is not None:
        said["max_retries"] = header.max_retries
    if header.retry_delay_ms is not None:
        said["retry_delay"] = timedelta(milliseconds=header.retry_delay_ms)
    return actor.policy.model_copy(update=said)
