"""`events.once`: steps of handlers that are not taken again once they were taken."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any

from eventsys.broker.actor import HandlerActor
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
        afterwards, another attempt of this delivery finds the step taken, and so does a redrive; after a rename too, as
        long as `was` says the former name. A replay is meant to do everything again, and does. When the block raises,
        nothing is noted. A time limit that is over while the note waits for Redis strikes when it is made.

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
        fields = {name: f"{owner}|{step}" for name, owner in self._owners(event).items()}
        return OnceGuard(self._broker, event.id, fields, keep_ms)

    def _owners(self, event: Event[Any]) -> dict[str, str]:
        """Return whose step it is, with the replay, by each name of the subscription; the present one is first."""
        attempt = attempt_of(self._broker)
        message = attempt.message if attempt is not None else None
        actor = getattr(message, "actor", None)
        if isinstance(message, Batch):
            message = message.delivery_of(event.id)
        if not isinstance(message, DeliveryMessage) or message.event_id != event.id:
            return {"": ""}
        former = actor.subscription.was if isinstance(actor, HandlerActor) else ()
        replay = f"#{message.replay}" if message.replay else ""
        return {name: f"{name}{replay}" for name in (message.subscription, *former)}


class OnceGuard:
    """The guard of one step, to be entered with `with`, or `async with` on an event loop.

    Args:
        broker: Whose attempts the step is part of.
        event_id: The event.
        fields: What the step is noted as, by the name of the subscription: the present one first, then former ones.
        keep_ms: How long it is remembered.
    """

    def __init__(self, broker: EventBroker, event_id: str, fields: Mapping[str, str], keep_ms: int) -> None:
        self._broker = broker
        self._event_id = event_id
        self._fields = fields
        self._name = next(iter(fields.values()))
        self._keep_ms = keep_ms
        self._is_due = False

    def __enter__(self) -> bool:
        now_ms = self._broker.clock.now_ms()
        self._is_due = all(until_ms is None or int(until_ms) <= now_ms for until_ms in self._noted())
        return self._is_due

    def _noted(self) -> list[bytes | None]:
        """Return until when the step is remembered, for each name that it may have been noted under."""
        link, keys = self._broker.link, self._broker.keys
        effects = keys.effects(self._event_id)
        if len(self._fields) == 1:
            return [link.call("HGET", effects, self._name)]
        noted, leads_to = link.read(
            [("HMGET", effects, *self._fields.values()), ("HMGET", keys.renamed, *self._fields)]
        )
        # A former name may be another subscription's: its steps are not taken for ours.
        present = leads_to[0] or next(iter(self._fields)).encode()
        former = zip(noted[1:], leads_to[1:], strict=True)
        return [noted[0], *(until_ms for until_ms, name in former if name == present)]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_due and error is None:
            # Not to be interrupted by the handler's limit: the next attempt would take the step again.
            self._broker.interrupts.finish(self._note)

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
