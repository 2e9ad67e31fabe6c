"""Publishing: into the attempt this code runs in, or into Redis."""

from __future__ import annotations

import asyncio
import atexit
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from eventsys.broker.attempt import current_attempt
from eventsys.bus.buffer import Buffer
from eventsys.bus.drafting import Draft, Drafter
from eventsys.bus.receipt import Receipt
from eventsys.bus.trips import SharedTrips
from eventsys.errors import (
    EventConflictError,
    EventsysError,
    NotCommittedError,
    PartialPublishError,
    PublishUnknownError,
    RedisUnavailableError,
)
from eventsys.model.envelope import decode_event
from eventsys.model.event import Event
from eventsys.settings import Settings
from eventsys.store.steps import Step

#: Most events of `publish_many` that are stored together or not at all.
ATOMIC = 500

Send = Callable[[list[Step]], list[Any]]


class Publisher:
    """Stores events.

    Args:
        send: Carries out steps in one round trip and returns what came of each.
        drafter: Makes the events.
        settings: The sizes and times of the buffer.
        on_error: Called with an event of `publish_async` that will never be stored, and the error.
    """

    def __init__(
        self,
        send: Send,
        drafter: Drafter,
        settings: Settings,
        on_error: Callable[[Event[Any], Exception], None] | None = None,
    ) -> None:
        self._send = send
        self._drafter = drafter
        self._settings = settings
        self._on_error = on_error
        self._begin()
        _publishers.add(self)

    def _begin(self) -> None:
        self._trips = SharedTrips(self._send)
        self.buffer = Buffer(self._store, self._settings.bus, self._on_error)

    def publish(self, draft: Draft, *, immediately: bool = False) -> Event[Any]:
        """Store an event: with the attempt this code runs in, else at once.

        Raises:
            EventConflictError: If another event of this id is stored.
            PublishUnknownError: If the reply was lost twice; the same call again is safe.
            RedisUnavailableError: If Redis does not answer. Nothing was stored.
            BackpressureError: If Redis is full. Nothing was stored.
        """
        attempt = current_attempt()
        if attempt is not None and not immediately:
            attempt.add(draft.step, len(draft.envelope))
            return draft.event
        return self._store([draft])[0]

    def publish_async(self, draft: Draft) -> Receipt:
        """Take an event to be stored soon; inside an attempt, with its commit.

        Raises:
            BufferFullError: If there is no room in time.
        """
        attempt = current_attempt()
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
        attempt = current_attempt()
        if attempt is not None and not immediately:
            attempt.add(draft.step, len(draft.envelope))
            return draft.event
        try:
            results = await asyncio.wrap_future(self._trips.carry_out_later([draft.step]))
        except RedisUnavailableError as error:
            raise _unknown(draft, error) from error
        return stored_event(draft, results[0])

    def publish_many(self, drafts: Sequence[Draft], *, immediately: bool = False) -> list[Event[Any]]:
        """Store many events: up to 500 together or not at all, more in such chunks.

        Raises:
            PartialPublishError: If a later chunk failed; it tells which events are stored.
            EventsysError: As `publish`, when nothing was stored.
        """
        attempt = current_attempt()
        if attempt is not None and not immediately:
            for draft in drafts:
                attempt.add(draft.step, len(draft.envelope))
            return [draft.event for draft in drafts]
        stored: list[Event[Any]] = []
        for start in range(0, len(drafts), ATOMIC):
            try:
                stored += self._store(list(drafts[start : start + ATOMIC]))
            except EventsysError as error:
                if not stored:
                    raise
                refused = [draft.event for draft in drafts[len(stored) :]]
                raise PartialPublishError(
                    f"{len(stored)} of {len(drafts)} events are stored, then: {error}",
                    published=stored,
                    refused=refused,
                ) from error
        return stored

    def close(self) -> list[Event[Any]]:
        """Send what is buffered and return what could not be sent."""
        unsent = self.buffer.close()
        self._begin()
        return unsent

    def forget(self) -> None:
        """Begin anew: in a forked child, what is buffered is the parent's to send."""
        self._begin()

    def _store(self, drafts: list[Draft]) -> list[Event[Any]]:
        try:
            results = self._trips.carry_out([draft.step for draft in drafts])
        except RedisUnavailableError as error:
            raise _unknown(drafts[0], error) from error
        return [stored_event(draft, result) for draft, result in zip(drafts, results, strict=True)]


def _unknown(draft: Draft, error: RedisUnavailableError) -> RedisUnavailableError:
    if not error.may_have_run:
        return RedisUnavailableError(f"event {draft.event.id!r} was not published: {error}")
    return PublishUnknownError(
        f"event {draft.event.id!r} may or may not be stored, since the reply was lost ({error}); publishing it again"
        " under this id is safe",
        event_id=draft.event.id,
    )


def stored_event(draft: Draft, result: Any) -> Event[Any]:
    """Return the event as it is stored, which is an earlier one when this was published before."""
    if result[0] == b"stored":
        return draft.event
    first_id, envelope = result[1].decode(), result[2]
    if envelope == draft.envelope.encode():
        return draft.event  # sent twice after a lost reply: this very event
    if not envelope:
        return draft.event.model_copy(update={"id": first_id, "duplicate": True})
    first: Event[Any] = decode_event(envelope, dict[str, Any])
    if first_id == draft.event.id and not _same_content(first, draft):
        raise EventConflictError(
            f"event {first_id!r} is stored already, with other content; give this one another id", event_id=first_id
        )
    return first.model_copy(update={"duplicate": True})


def _same_content(first: Event[Any], draft: Draft) -> bool:
    own: Event[Any] = decode_event(draft.envelope, dict[str, Any])
    return (first.type, first.payload, first.source, first.version) == (own.type, own.payload, own.source, own.version)


_publishers: weakref.WeakSet[Publisher] = weakref.WeakSet()


def _forget_all() -> None:
    for publisher in list(_publishers):
        publisher.forget()


def _close_all() -> None:
    for publisher in list(_publishers):
        publisher.buffer.close()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(_close_all)
