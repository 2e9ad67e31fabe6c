"""Handlers with `async_=False`: they run inside `publish`, in the publisher's own process."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from dramatiq.middleware.time_limit import TimeLimitExceeded

from eventsys.broker.actor import HandlerActor
from eventsys.broker.attempt import current_attempt
from eventsys.broker.broker import EventBroker
from eventsys.broker.messages import DeliveryMessage, Place
from eventsys.bus.drafting import Draft
from eventsys.bus.publisher import Publisher, stored_event
from eventsys.bus.router import Route, Router
from eventsys.errors import InlineHandlerError
from eventsys.model.event import Event
from eventsys.model.patterns import PatternIndex
from eventsys.store.event_store import EventStore
from eventsys.store.keys import INLINE_QUEUE
from eventsys.store.scripts import script
from eventsys.store.steps import packed

#: Seconds a publisher waits for the outcome of its inline handlers to be recorded.
_RECORD_S = 10.0

logger = logging.getLogger(__name__)


class InlineHandlers:
    """Stores an event, runs the handlers of this process that are to run at once, and records how that went.

    The event is stored and dispatched to everybody before the first handler runs. The inline deliveries are leased to
    this process meanwhile, so should it die, a worker takes them. Each is one attempt; a failed one is a dead letter.

    Args:
        broker: What the handlers are declared on.
        router: What knows the subscriptions.
        store: Where the event goes.
        publisher: What publishes everything else.
    """

    def __init__(self, broker: EventBroker, router: Router, store: EventStore, publisher: Publisher) -> None:
        self._broker = broker
        self._router = router
        self._store = store
        self._publisher = publisher
        self._index: PatternIndex[HandlerActor] | None = None

    def rebuild(self) -> None:
        """Look again which handlers of this process run inline."""
        actors = [one for one in self._broker.actors.values() if isinstance(one, HandlerActor)]
        inline = [(one.subscription.pattern, one) for one in actors if not one.subscription.is_async]
        self._index = PatternIndex(inline) if inline else None

    def may_handle(self, draft: Draft) -> bool:
        """Say whether an event published here and now has handlers to run at once."""
        return self._index is not None and current_attempt() is None and bool(self._index.match(draft.event.type))

    def publish(self, draft: Draft) -> Event[Any]:
        """Store an event and run its inline handlers, one after the other.

        Raises:
            InlineHandlerError: If one failed; the first error is its cause, the stored event its attribute.
            EventsysError: As `EventService.publish`, when the event was not stored.
        """
        event, messages = self._store_and_lease(draft)
        errors = [self._run(message) for message in messages]
        return self._conclude(event, messages, errors)

    async def apublish(self, draft: Draft) -> Event[Any]:
        """Do what `publish` does; coroutine handlers run on the caller's loop, others in a thread."""
        event, messages = await asyncio.to_thread(self._store_and_lease, draft)
        errors = []
        for message in messages:
            actor = message.actor
            if isinstance(actor, HandlerActor) and actor.is_async:
                errors.append(await self._await(message, actor))
            else:
                errors.append(await asyncio.to_thread(self._run, message))
        return await asyncio.to_thread(self._conclude, event, messages, errors)

    def _store_and_lease(self, draft: Draft) -> tuple[Event[Any], list[DeliveryMessage]]:
        broker = self._broker
        broker.presence.enter(INLINE_QUEUE)
        while True:
            route = self._router.route(draft.envelope)
            targets, count = self._split(route)
            result = broker.link.run(
                script("publish_inline"), broker.keys.prefix, broker.clock.now_ms(), broker.presence.name,
                route.version, broker.retention_ms, packed(draft.step), packed(targets), count,
            )  # fmt: skip
            if result[0] != b"stale":
                break
            self._router.refresh(older_than=route.version)
        event = stored_event(draft, result)
        leased = [value.decode() for value in result[2:]] if result[0] == b"stored" else []
        names = [targets[-4 * count + 4 * at + 1] for at in range(count)]
        return event, [
            self._message(name, draft, stream, entry)
            for name, stream, entry in zip(names, leased[::2], leased[1::2], strict=False)
        ]

    def _split(self, route: Route) -> tuple[list[Any], int]:
        """Put the deliveries of this process's inline handlers last, on the queue that nobody reads."""
        others: list[Any] = []
        own: list[Any] = []
        for at in range(0, len(route.targets), 4):
            number, name, queue, lane = route.targets[at : at + 4]
            actor = self._broker.actors.get(name)
            if isinstance(actor, HandlerActor) and not actor.subscription.is_async:
                own += [number, name, INLINE_QUEUE, lane]
            else:
                others += [number, name, queue, lane]
        return others + own, len(own) // 4

    def _message(self, name: str, draft: Draft, stream: str, entry: str) -> DeliveryMessage:
        broker = self._broker
        lane = int(stream.rpartition(":")[2])
        message = DeliveryMessage(
            name, draft.envelope, {}, Place(INLINE_QUEUE, lane, stream, entry, broker.presence.name)
        )
        message.actor = broker.actors[name]
        message.is_inline = True
        broker.in_flight.add(message.place)
        return message

    def _run(self, message: DeliveryMessage) -> BaseException | None:
        actor = message.actor
        if isinstance(actor, HandlerActor) and actor.is_async:
            return asyncio.run(self._await(message, actor))
        message.is_on_loop = True  # an interrupt must not strike the publisher's own code
        self._broker.emit_before("process_message", message)
        try:
            if actor is not None:
                actor(message.envelope)
        except Exception as error:
            return self._end(message, error)
        if isinstance(actor, HandlerActor) and actor.timeout_ms is not None and message.elapsed_ms > actor.timeout_ms:
            logger.warning(
                "%s took %d ms inside publish, its timeout is %d ms", message, message.elapsed_ms, actor.timeout_ms,
                extra={"action": "inline_overtime", "message_id": message.message_id},
            )  # fmt: skip
        return self._end(message, None)

    async def _await(self, message: DeliveryMessage, actor: HandlerActor) -> BaseException | None:
        message.is_on_loop = True
        self._broker.emit_before("process_message", message)
        try:
            limit_s = None if actor.timeout_ms is None else actor.timeout_ms / 1000
            async with asyncio.timeout(limit_s) as limit:
                await actor.run(message.envelope)
        except TimeoutError as error:
            return self._end(message, TimeLimitExceeded() if limit.expired() else error)
        except Exception as error:
            return self._end(message, error)
        return self._end(message, None)

    def _end(self, message: DeliveryMessage, error: BaseException | None) -> BaseException | None:
        if error is None:
            self._broker.emit_after("process_message", message, result=None)
        else:
            message.stuff_exception(error)
            self._broker.emit_after("process_message", message, exception=error)
        self._broker.end(message, succeeded=not message.failed)
        return error

    def _conclude(
        self, event: Event[Any], messages: list[DeliveryMessage], errors: list[BaseException | None]
    ) -> Event[Any]:
        self._broker.committer.join(_RECORD_S)
        failed = [(message, error) for message, error in zip(messages, errors, strict=True) if error is not None]
        if not failed:
            return event
        message, first = failed[0]
        raise InlineHandlerError(
            f"{message.subscription} failed on event {event.id!r} inside publish ({type(first).__name__}: {first}); the"
            " event is stored and everybody else gets it",
            event=event,
        ) from first
