"""Publishing: into the attempt this code runs in, or into Redis."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from eventsys.broker.attempt import attempt_of
from eventsys.bus.buffer import Buffer, OnError
from eventsys.bus.drafting import Draft
from eventsys.bus.outcomes import accepted, outcome_of, partial_error, stored_event, unavailable
from eventsys.bus.receipt import Receipt
from eventsys.bus.trips import SharedTrips
from eventsys.errors import EventConflictError, EventsysError, NotCommittedError, RedisUnavailableError
from eventsys.model.event import Event
from eventsys.settings import Settings
from eventsys.store.event_store import own_result
from eventsys.store.steps import Step

#: Most events of `publish_many` that are stored together or not at all.
ATOMIC = 500

Send = Callable[[list[Step]], list[Any]]


class Publisher:
    """Stores events.

    Args:
        send: Carries out steps in one round trip and returns what came of each.
        broker: Whose attempts can carry what is published.
        settings: The sizes and times of the buffer.
        on_error: Called with an event of `publish_async` that is given up, and the error.
    """

    def __init__(self, send: Send, broker: object, settings: Settings, on_error: OnError | None = None) -> None:
        self._send = send
        self._broker = broker
        self._settings = settings
        self._on_error = on_error
        self._trips, self.buffer = SharedTrips(send), self._new_buffer()
        _publishers.add(self)

    def publish(self, draft: Draft, *, immediately: bool = False) -> Event[Any]:
        """Store an event: with the attempt this code runs in, else at once.

        Raises:
            EventConflictError: If another event of this id is stored.
            RedisUnavailableError: If Redis does not answer. Nothing was stored, unless it is its subclass:
            PublishUnknownError: If the reply was lost and the second try brought no other. The event may be stored; the
                same call again, with the error's `event_id` as `id`, is safe.
            BackpressureError: If Redis is full. Nothing was stored.
        """
        attempt = attempt_of(self._broker)
        if attempt is not None and not immediately:
            attempt.add(draft.step, len(draft.envelope))
            return draft.event
        return stored_event(draft, self._carry_out([draft])[0])

    def publish_async(self, draft: Draft) -> Receipt:
        """Take an event to be stored soon; inside an attempt, with its commit.

        Raises:
            BufferFullError: If there is no room in time.
        """
        attempt = attempt_of(self._broker)
        if attempt is None:
            return self.buffer.put(draft)
        receipt = Receipt(draft.event, attempt=attempt)

        def settle(committed: bool) -> None:
            if committed:
                receipt.resolve(draft.event)
            else:
                receipt.fail(NotCommittedError(f"event {draft.event.id!r} was dropped: its attempt did not succeed"))

        attempt.add(draft.step, len(draft.envelope), on_commit=settle)
        return receipt

    async def apublish(self, draft: Draft, *, immediately: bool = False) -> Event[Any]:
        """Store an event as `publish` does, without blocking the event loop."""
        attempt = attempt_of(self._broker)
        if attempt is not None and not immediately:
            attempt.add(draft.step, len(draft.envelope))
            return draft.event
        try:
            results = await asyncio.wrap_future(self._trips.carry_out_later([draft.step]))
        except RedisUnavailableError as error:
            raise unavailable(draft, error) from error
        return stored_event(draft, results[0])

    def publish_many(self, drafts: Sequence[Draft], *, immediately: bool = False) -> list[Event[Any]]:
        """Store many events: up to 500 together or not at all, more in such chunks; in an attempt, all with its commit.

        Raises:
            PartialPublishError: If a later chunk failed, or an id is taken by other content; it tells which events are
                stored.
            EventsysError: As `publish`, when nothing was stored.
        """
        attempt = attempt_of(self._broker)
        if attempt is not None and not immediately:
            attempt.add_all([draft.step for draft in drafts], sum(len(draft.envelope) for draft in drafts))
            return [draft.event for draft in drafts]
        stored: list[Event[Any]] = []
        for start in range(0, len(drafts), ATOMIC):
            chunk = list(drafts[start : start + ATOMIC])
            try:
                results = self._carry_out(chunk)
            except EventsysError as error:
                if not stored:
                    raise
                raise partial_error(stored, [draft.event for draft in drafts[start:]], error) from error
            stored += accepted(drafts, chunk, results, stored)
        return stored

    def close(self) -> list[Event[Any]]:
        """Send what is buffered and return what could not be sent."""
        unsent = self.buffer.close()
        self.buffer = self._new_buffer()  # the trips go on: the thread of theirs is kept for who comes next
        return unsent

    def forget(self) -> None:
        """Begin anew: in a forked child, what is buffered is the parent's to send."""
        self._trips, self.buffer = SharedTrips(self._send), self._new_buffer()

    def _new_buffer(self) -> Buffer:
        return Buffer(self._store_each, self._settings.bus, self._on_error)

    def _store_each(self, drafts: list[Draft], is_repeated: bool) -> list[Event[Any] | EventConflictError]:
        results = self._carry_out(drafts)
        if is_repeated:
            results = [own_result(draft.step, result) for draft, result in zip(drafts, results, strict=True)]
        return [outcome_of(draft, result) for draft, result in zip(drafts, results, strict=True)]

    def _carry_out(self, drafts: list[Draft]) -> list[Any]:
        try:
            return self._trips.carry_out([draft.step for draft in drafts])
        except RedisUnavailableError as error:
            raise unavailable(drafts[0], error) from error


_publishers: weakref.WeakSet[Publisher] = weakref.WeakSet()


def _forget_all() -> None:
    for publisher in list(_publishers):
        publisher.forget()


os.register_at_fork(after_in_child=_forget_all)
