"""`events.once`: steps of handlers that are not taken again once they were taken."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from types import TracebackType
from typing import Any

from eventsys.broker.attempt import attempt_of
from eventsys.broker.batch import Batch
from eventsys.broker.broker import EventBroker
from eventsys.broker.messages import DeliveryMessage
from eventsys.errors import InvalidDurationError, RedisUnavailableError
from eventsys.model.durations import DurationLike, kept_milliseconds
from eventsys.model.event import Event
from eventsys.store.scripts import script

#: How long a step is remembered: longer than retries and takeovers go on, and than most dead letters lie.
KEEP = timedelta(days=7)

#: Seconds for which a step that has been taken is tried to be noted while Redis is away, and between two tries.
_INSIST_S, _WAIT_S = 30.0, 0.25

logger = logging.getLogger(__name__)


class Once:
    """Makes guards around steps that must not be taken again when a handler runs again.

    Args:
        broker: Whose attempts they are part of.
    """

    def __init__(self, broker: EventBroker) -> None:
        self._broker = broker

    def __call__(self, event: Event[Any], step: str = "", *, keep: DurationLike = KEEP) -> OnceGuard:
        """Return a guard around a step: what it yields says whether the step is still to be taken.

            with events.once(event, "charge") as is_due:
                if is_due:
                    charge(event.payload)

        When the block ends without an error, that is noted at once and by itself: whatever becomes of the attempt
        afterwards, another attempt of this delivery finds the step taken, and so does a redrive. A replay is meant to
        do everything again, and does. When the block raises, nothing is noted.

        What a process does that dies in the block, between the effect and its note, is done again; and so it may be
        where a process was stopped for longer than its lease and two run at once. What has to be excluded even then is
        for the other side to exclude: give it `event.id` as the key of the request.

        In a coroutine handler use `async with`.

        Args:
            event: The event that is handled.
            step: Its name among the steps of this handler; give one to each if there are several.
            keep: How long it is remembered, at least a millisecond.

        Raises:
            InvalidDurationError: If `keep` is none, or shorter than that.
            RedisUnavailableError: On entering, if Redis cannot be asked; on leaving, if it stayed away for 30 s.
        """
        keep_ms = kept_milliseconds(keep, "keep")
        if keep_ms < 1:
            raise InvalidDurationError(f"keep={keep!r} remembers nothing; give a millisecond or more")
        attempt = attempt_of(self._broker)
        message = attempt.message if attempt is not None else None
        owner = ""
        if isinstance(message, Batch):
            message = message.delivery_of(event.id)
        if isinstance(message, DeliveryMessage) and message.event_id == event.id:
            owner = message.message_id.removeprefix(f"{event.id}:")
        return OnceGuard(self._broker, event.id, f"{owner}|{step}", keep_ms)


class OnceGuard:
    """The guard of one step, to be entered with `with`, or `async with` on an event loop."""

    def __init__(self, broker: EventBroker, event_id: str, name: str, keep_ms: int) -> None:
        self._broker = broker
        self._event_id = event_id
        self._name = name
        self._keep_ms = keep_ms
        self._is_due = False

    def __enter__(self) -> bool:
        keys, clock = self._broker.keys, self._broker.clock
        until_ms = self._broker.link.call("HGET", keys.effects(self._event_id), self._name)
        self._is_due = until_ms is None or int(until_ms) <= clock.now_ms()
        return self._is_due

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_due and error is None:
            self._note()

    async def __aenter__(self) -> bool:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_due and error is None:
            # Not to be cancelled by the handler's limit between the effect and its note.
            await asyncio.shield(asyncio.to_thread(self._note))

    def _note(self) -> None:
        """Note that the step was taken; insist, since the effect is there and would come again."""
        deadline = time.monotonic() + _INSIST_S
        while True:
            try:
                self._broker.link.run(
                    script("note_effect"), self._broker.keys.prefix,
                    self._broker.clock.now_ms(), self._event_id, self._name, self._keep_ms,
                )  # fmt: skip
            except RedisUnavailableError as error:
                if time.monotonic() > deadline:
                    raise
                logger.warning(
                    "that step %r of event %s was taken waits for Redis: %s", self._name, self._event_id, error,
                    extra={"action": "once_waits", "event_id": self._event_id},
                )  # fmt: skip
                time.sleep(_WAIT_S)
            else:
                return
