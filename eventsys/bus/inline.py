"""Handlers with `async_=False`: they run inside `publish`, in the publisher's own process."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import Any

from dramatiq.middleware.time_limit import TimeLimitExceeded

from eventsys.broker.actor import HandlerActor
from eventsys.broker.attempt import current_attempt
from eventsys.broker.broker import EventBroker
from eventsys.broker.endings import described
from eventsys.broker.messages import DeliveryMessage, Place
from eventsys.broker.presence import Presence
from eventsys.broker.time_limits import name_limit
from eventsys.bus.drafting import Draft
from eventsys.bus.outcomes import stored_event, unavailable
from eventsys.bus.router import Route, Router
from eventsys.errors import EventsysError, InlineHandlerError, RedisUnavailableError
from eventsys.model.event import Event
from eventsys.model.patterns import PatternIndex
from eventsys.model.priority import LANES
from eventsys.store.event_store import own_result
from eventsys.store.keys import GROUP, INLINE_QUEUE
from eventsys.store.scripts import script
from eventsys.store.steps import packed

#: Seconds a publisher waits for the outcome of its inline handlers to be recorded.
_RECORD_S = 10.0

logger = logging.getLogger(__name__)


class InlineMessage(DeliveryMessage):
    """A delivery that its publisher runs itself.

    Attributes:
        recorded: Set when its outcome is committed.
    """

    def __init__(self, subscription: str, envelope: str, options: dict[str, Any], place: Place) -> None:
        super().__init__(subscription, envelope, options, place)
        self.is_inline = True
        self.recorded = threading.Event()
        self._free = threading.Lock()

    def take(self) -> bool:
        """Make it the caller's, to run or to give away; returns False where another thread took it."""
        return self._free.acquire(blocking=False)


class InlineHandlers:
    """Stores an event, runs the handlers of this process that are to run at once, and records how that went.

    The event is stored and dispatched to everybody before the first handler runs. The inline deliveries are leased to
    this process meanwhile, so should it die, a worker takes them. Each is one attempt; a failed one is a dead letter.

    Args:
        broker: What the handlers are declared on.
        router: What knows the subscriptions.
    """

    def __init__(self, broker: EventBroker, router: Router) -> None:
        self._broker = broker
        self._router = router
        self._index: PatternIndex[HandlerActor] | None = None
        self._is_stale = True
        self._entered: Presence | None = None
        self._may_have_strays = False

    def look_again(self) -> None:
        """Find out with the next event which handlers of this process run inline: they have changed."""
        self._is_stale = True

    def _look(self) -> None:
        self._is_stale = False  # first: what is declared meanwhile may not be among the actors yet
        actors = [one for one in self._broker.actors.values() if isinstance(one, HandlerActor)]
        inline = [(one.subscription.pattern, one) for one in actors if not one.subscription.is_async]
        self._index = PatternIndex(inline) if inline else None

    def may_handle(self, draft: Draft) -> bool:
        """Say whether an event published here and now has handlers to run at once."""
        if self._is_stale:
            self._look()
        return self._index is not None and current_attempt() is None and bool(self._index.match(draft.event.type))

    def publish(self, draft: Draft) -> Event[Any]:
        """Store an event and run its inline handlers, one after the other.

        Raises:
            InlineHandlerError: If one failed; the first error is its cause, the stored event its attribute.
            EventsysError: As `EventService.publish`, when the event was not stored.
        """
        event, messages = self._store_and_lease(draft)
        errors: list[BaseException | None] = []
        try:
            errors += [self._run_apart(message) for message in messages]
        finally:
            self._give_away_unstarted(messages)
        return self._conclude(event, messages, errors)

    async def apublish(self, draft: Draft) -> Event[Any]:
        """Do what `publish` does; coroutine handlers run on the caller's loop, others in a thread."""
        leased: Future[list[InlineMessage]] = Future()
        try:
            event, messages = await asyncio.to_thread(self._store_for, leased, draft)
        except asyncio.CancelledError:
            if not leased.cancel():  # the thread was done already, and has left them to this task
                self._give_away_unstarted(leased.result())
            raise
        errors: list[BaseException | None] = []
        try:
            for message in messages:
                actor = message.actor
                if isinstance(actor, HandlerActor) and actor.is_async:
                    errors.append(await self._await(message, actor))
                else:
                    errors.append(await asyncio.to_thread(self._run, message))
        finally:
            self._give_away_unstarted(messages)
        return await asyncio.to_thread(self._conclude, event, messages, errors)

    def give_away_strays(self) -> None:
        """Give inline deliveries that are leased to this process without its knowing to the workers.

        They are there when the reply to a publish was lost for good.
        """
        if not self._may_have_strays:
            return
        self._may_have_strays = False
        try:
            broker = self._broker
            own = [(broker.keys.lane(INLINE_QUEUE, lane), entry) for lane, entry, _ in self._read_own()]
            work = broker.work
            self._requeue([place for place in own if not work.in_flight.knows(*place, work.presence.name)])
        except BaseException:
            self._may_have_strays = True
            raise

    def _note_strays(self) -> None:
        self._may_have_strays = True
        self._broker.presence.stir()

    def _store_for(self, leased: Future[list[InlineMessage]], draft: Draft) -> tuple[Event[Any], list[InlineMessage]]:
        """Store and lease in a thread, for a task that cancels `leased` when it is cancelled itself meanwhile."""
        event, messages = self._store_and_lease(draft)
        try:
            leased.set_result(messages)
        except InvalidStateError:
            self._give_away_unstarted(messages)
        return event, messages

    def _store_and_lease(self, draft: Draft) -> tuple[Event[Any], list[InlineMessage]]:
        self._enter()
        try:
            result, names, is_repeated = self._publish_and_dispatch(draft)
        except RedisUnavailableError as error:
            if error.may_have_run:
                self._note_strays()
            raise unavailable(draft, error) from error
        except BaseException:  # Ctrl-C, after it was sent perhaps
            self._note_strays()
            raise
        leased = [value.decode() for value in result[2:]] if result[0] == b"stored" else []
        if is_repeated and own_result(draft.step, result)[0] == b"stored" and result[0] != b"stored":
            # Stored by the try whose reply was lost: what it leased is found by its content.
            return draft.event, self._recovered(draft)
        event = stored_event(draft, result)
        return event, [
            self._message(name, draft, stream, entry)
            for name, stream, entry in zip(names, leased[::2], leased[1::2], strict=False)
        ]

    def _publish_and_dispatch(self, draft: Draft) -> tuple[Any, list[str], bool]:
        broker = self._broker
        is_repeated = False
        broker.work.room.check()
        while True:
            route = self._router.route(draft.envelope)
            targets, count = self._split(route)
            result, repeated = broker.link.run_telling(
                script("publish_inline"), broker.keys.prefix, broker.clock.now_ms(), broker.presence.name,
                route.version, broker.work.retention_ms, packed(draft.step), packed(targets), count,
            )  # fmt: skip
            is_repeated = is_repeated or repeated
            if result[0] != b"stale":
                return result, [targets[-4 * count + 4 * at + 1] for at in range(count)], is_repeated
            self._router.refresh(older_than=route.version)

    def _recovered(self, draft: Draft) -> list[InlineMessage]:
        envelope = draft.envelope.encode()
        return [
            self._message(fields[1].decode(), draft, self._broker.keys.lane(INLINE_QUEUE, lane), entry)
            for lane, entry, fields in self._read_own()
            if fields[3] == envelope and fields[1].decode() in self._broker.actors
        ]

    def _read_own(self) -> list[tuple[int, str, list[bytes]]]:
        """Return the inline deliveries that Redis believes this process to run: lane, entry and fields of each."""
        broker = self._broker
        streams = {lane: broker.keys.lane(INLINE_QUEUE, lane) for lane in LANES}
        command = ("XREADGROUP", "GROUP", GROUP, broker.presence.name, "STREAMS")
        replies = broker.link.pipeline([(*command, stream, "0") for stream in streams.values()])
        found = []
        for lane, reply in zip(streams, replies, strict=True):
            entries = reply[0][1] if isinstance(reply, list) and reply else ()  # an error: the lane has no group yet
            found += [(lane, entry[0].decode(), entry[1]) for entry in entries if entry[1]]
        return found

    def _enter(self) -> None:
        """Hold a lease, so that what this process runs inline is taken over should it die."""
        presence = self._broker.presence
        if self._entered is not presence:
            presence.enter(INLINE_QUEUE)
            self._entered = presence

    def _give_away_unstarted(self, messages: list[InlineMessage]) -> None:
        """Give what an interrupted publish did not begin to the workers."""
        unstarted = [message for message in messages if message.take()]
        if unstarted:
            self._broker.work.in_flight.hold_no_more([message.place for message in unstarted])
            try:
                self._requeue([(message.place.stream, message.place.entry) for message in unstarted])
            except EventsysError:
                self._note_strays()  # the next round does it

    def _requeue(self, places: list[tuple[str, str]]) -> None:
        broker = self._broker
        for start in range(0, len(places), 100):
            pairs = [part for place in places[start : start + 100] for part in place]
            arguments = (broker.clock.now_ms(), broker.presence.name, *pairs)
            broker.link.run(script("requeue_inline"), broker.keys.prefix, *arguments)

    def _split(self, route: Route) -> tuple[list[Any], int]:
        """Put the deliveries of this process's inline handlers last, on the queue that nobody reads."""
        others: list[Any] = []
        own: list[Any] = []
        for at in range(0, len(route.targets), 4):
            number, name, queue, lane = route.targets[at : at + 4]
            actor = self._broker.actors.get(name)
            if queue and isinstance(actor, HandlerActor) and not actor.subscription.is_async:
                own += [number, name, INLINE_QUEUE, lane]
            else:
                others += [number, name, queue, lane]
        return others + own, len(own) // 4

    def _message(self, name: str, draft: Draft, stream: str, entry: str) -> InlineMessage:
        broker = self._broker
        lane = int(stream.rpartition(":")[2])
        message = InlineMessage(
            name, draft.envelope, {}, Place(INLINE_QUEUE, lane, stream, entry, broker.presence.name)
        )
        message.actor = broker.actors[name]
        broker.work.in_flight.add([message.place])
        return message

    def _run_apart(self, message: InlineMessage) -> BaseException | None:
        """Run a handler; a coroutine function needs a thread of its own where a loop runs in this one already."""
        actor = message.actor
        if not (isinstance(actor, HandlerActor) and actor.is_async):
            return self._run(message)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._await(message, actor))
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self._await(message, actor))).result()

    def _run(self, message: InlineMessage) -> BaseException | None:
        actor = message.actor
        try:
            if not message.take():
                return None  # the workers have it
            self._begin(message)
            if actor is not None:
                actor(message.envelope)
        except Exception as error:
            return self._end(message, error)
        except BaseException as error:
            self._end(message, error)
            raise
        if isinstance(actor, HandlerActor) and actor.timeout_ms is not None and message.elapsed_ms > actor.timeout_ms:
            logger.warning(
                "%s took %d ms inside publish, its timeout is %d ms", message, message.elapsed_ms, actor.timeout_ms,
                extra={"action": "inline_overtime", "message_id": message.message_id},
            )  # fmt: skip
        return self._end(message, None)

    async def _await(self, message: InlineMessage, actor: HandlerActor) -> BaseException | None:
        limit_s = None if actor.timeout_ms is None else actor.timeout_ms / 1000
        try:
            async with asyncio.timeout(limit_s) as limit:
                if not message.take():
                    return None
                self._begin(message)
                await actor.run(message.envelope)
        except TimeLimitExceeded as error:
            failed = self._end(message, error)
            if limit_s is not None and self._broker.clock.now_ms() - message.started_ms >= limit_s * 1000:
                return failed
            raise  # it struck the handler around this one
        except Exception as error:
            return self._end(message, TimeLimitExceeded() if limit.expired() else error)
        except BaseException as error:
            self._end(message, error)
            raise
        return self._end(message, TimeLimitExceeded() if limit.expired() else None)  # it may have swallowed its end

    def _begin(self, message: InlineMessage) -> None:
        message.is_on_loop = True  # an interrupt must not strike the publisher's own code
        self._broker.emit_before("process_message", message)

    def _end(self, message: InlineMessage, error: BaseException | None) -> BaseException | None:
        if error is None:
            self._broker.emit_after("process_message", message, result=None)
        else:
            name_limit(message, error)
            message.stuff_exception(error)
            self._broker.emit_after("process_message", message, exception=error)
        if message.attempt is not None:
            message.attempt.when_over = message.recorded.set
        self._broker.work.end(message, succeeded=not message.failed)
        return error

    def _conclude(
        self, event: Event[Any], messages: list[InlineMessage], errors: list[BaseException | None]
    ) -> Event[Any]:
        for message in messages:
            message.recorded.wait(_RECORD_S)
        failed = [(message, error) for message, error in zip(messages, errors, strict=True) if error is not None]
        if not failed:
            return event
        message, first = failed[0]
        raise InlineHandlerError(
            f"{message.subscription} failed on event {event.id!r} inside publish ({described(first)[0]}); the event is"
            " stored and everybody else gets it",
            event=event,
        ) from first
