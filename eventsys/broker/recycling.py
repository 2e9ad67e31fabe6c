"""Ending a process whose handler cannot be interrupted, and leaving nothing behind that others would wait for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from dramatiq import MessageProxy

from .attempt import enter_attempt
from .batch import Batch, deliveries_of
from .batch_ends import end_batch
from .messages import DeliveryMessage, Received
from .time_limits import name_limit

if TYPE_CHECKING:
    from .broker import EventBroker

#: The exit code of such a process: EX_SOFTWARE.
RECYCLE_EXIT = 70


def recycle(broker: EventBroker, message: MessageProxy, error: BaseException) -> None:
    """End an attempt that cannot be interrupted, hand back all else, and end the process with it.

    What else runs is handed back too: it ends with a process that decided to end, and is suspected of nothing.

    Args:
        broker: Whose process it is.
        message: What its handler goes on with.
        error: What the attempt ends with.
    """
    broker.work.is_ending = True
    broker.logger.critical("%s does not react to its timeout; this process ends and is replaced", message)
    try:
        if isinstance(message, Received):
            # What the hooks decide belongs to the attempt, though this is the watcher's thread.
            message.token = enter_attempt(message.attempt)
            name_limit(message, error)
            message.stuff_exception(error)
            broker.emit_after("process_message", message, exception=error)
            if isinstance(message, Batch):
                end_batch(broker.work, message)
            else:
                broker.work.end(message, succeeded=not message.failed)
        # Nothing is committed any more: what is handed back must not end here while another process takes it up.
        broker.work.committer.close(5.0)
        ended = deliveries_of([message]) if isinstance(message, Received) else []
        left = broker.work.in_flight.besides(ended)
        for one in left:
            _note_begun(one)
        broker.work.hand_back(left)
        broker.when_stuck(message.actor_name)
    except Exception:
        # Redis is away, perhaps: then others take over what this process holds. It ends all the same.
        broker.logger.exception("what this process holds could not be handed back")
    finally:
        os._exit(RECYCLE_EXIT)


def _note_begun(message: Received) -> None:
    """Note on its place that a delivery began before it was too late, so that it is not when it begins again."""
    if not isinstance(message, DeliveryMessage) or message.expires_ms is None:
        return
    if 0 < message.started_ms <= message.expires_ms:
        message.place = msgspec.structs.replace(message.place, has_begun=True)
