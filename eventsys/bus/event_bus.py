"""EventBus: publish, subscribe, and run what this process subscribed at run time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from eventsys.broker.actor import HandlerActor
from eventsys.broker.broker import EventBroker
from eventsys.broker.leaving import deadline_of_leaving, leave_queue
from eventsys.bus.buffer import OnError
from eventsys.bus.declarations import Declarations
from eventsys.bus.dispatch_watch import DispatchWatch
from eventsys.bus.dispatcher import Dispatcher
from eventsys.bus.drafting import Draft, Drafter
from eventsys.bus.handlers import ExceptionTypes, home_of, make_actor, name_of
from eventsys.bus.housekeeping import Housekeeping
from eventsys.bus.inline import InlineHandlers
from eventsys.bus.memory_watch import MemoryWatch
from eventsys.bus.processes import tell_of_processes
from eventsys.bus.publisher import Publisher
from eventsys.bus.receipt import Receipt
from eventsys.bus.replay import Replays
from eventsys.bus.replay_driver import ReplayDriver
from eventsys.bus.router import Router
from eventsys.bus.run_time_workers import RunTimeWorkers
from eventsys.bus.settling import is_own_queue, own_queue_of
from eventsys.bus.system_events import SystemEvents
from eventsys.bus.tending import Tending, TendingMiddleware
from eventsys.bus.vigil import Vigil
from eventsys.errors import SubscriptionError
from eventsys.middleware import Tracing
from eventsys.model.catalog import Catalog
from eventsys.model.durations import to_milliseconds
from eventsys.model.event import Event
from eventsys.model.expecting import expect
from eventsys.model.metrics import EventMetrics
from eventsys.model.subscription import Subscription, SubscriptionOptions
from eventsys.settings import Settings
from eventsys.store.dead_letters import DeadLetters
from eventsys.store.event_store import EventStore
from eventsys.store.hosts import HostStore
from eventsys.store.keys import LOG_QUEUE
from eventsys.store.replays import ReplayStore
from eventsys.store.retention import Retention, RetentionLimits
from eventsys.store.subscriptions import SubscriptionStore
from eventsys.store.troubles import TroubleStore


class EventBus:
    """Publishes events, and gives them to the handlers that subscribed.

    Subscriptions are made in memory, so that importing a module with handlers needs no Redis; they are declared there
    at the first use, by whichever process comes first.

    Args:
        broker: What carries messages.
        store: What holds events.
        settings: Sizes, limits and times.
        catalog: The models of typed payloads.
        on_publish_error: Called with an event of `publish_async` that is given up, and the error.
    """

    def __init__(
        self,
        broker: EventBroker,
        store: EventStore,
        settings: Settings,
        catalog: Catalog,
        *,
        on_publish_error: OnError | None = None,
    ) -> None:
        self.broker, self.store, self.settings = broker, store, settings
        link, keys, work = broker.link, broker.keys, broker.work
        self.subscriptions = SubscriptionStore(link, keys)
        self.router = Router(self.subscriptions, work.gates, lambda: work.look())
        self.dispatcher = Dispatcher(broker, self.router, self._warn_of_blindness)
        self.drafter = Drafter(settings, broker.clock, catalog, work.seal, work.cipher)
        self.system = SystemEvents(TroubleStore(link, keys), self.drafter, broker.clock, at_once=lambda: work.by_hand)
        self.publisher = Publisher(self._carry_out, broker, settings, on_publish_error)
        self.inline = InlineHandlers(broker, self.router)
        self._at_run_time = RunTimeWorkers(broker, settings.bus.worker_count)
        self.declarations = Declarations(
            broker, self.subscriptions, self.inline.look_again, when_dropped=self._at_run_time.drop
        )
        self.dead_letters = DeadLetters(link, keys, broker.clock, retention_ms=work.retention_ms, seal=work.seal)
        self.hosts = hosts = HostStore(link, keys)
        vigil = Vigil(hosts, self.subscriptions, self.system, broker.clock)
        self.tending = Tending(broker, self.subscriptions, self.declarations, self.inline, hosts, vigil)
        self.housekeeping = Housekeeping(
            link, Retention(link, keys, _limits_of(settings)), self.system, broker.clock,
            dispatches=lambda: broker.presence.reads(LOG_QUEUE),
        )  # fmt: skip
        self.replays = Replays(
            ReplayStore(link, keys), store.history, self.subscriptions, self.drafter, broker.clock,
            driver=lambda: broker.presence.name, prepare=self.prepare, when_blind=self._warn_of_blindness,
        )  # fmt: skip
        self._driver = ReplayDriver(
            self.replays, by_hand=lambda: work.by_hand,
            works=lambda: work.by_hand or broker.presence.reads(LOG_QUEUE),
        )  # fmt: skip
        self._memory = MemoryWatch(work.room, self.system)
        watch = DispatchWatch(self.hosts, broker.clock, lambda: self._at_run_time.are_started and not work.by_hand)
        duties = (self.housekeeping, self._driver, self._memory, watch, self._at_run_time)
        self.tending.duties += [one.make_round for one in duties]
        work.after_scan, work.look = self.tending.make_round, self.tending.look
        work.forgetful.when_rebound += [self.router.forget, self.declarations.forget, self.tending.forget]
        work.forgetful.when_lost += [self.system.forget, self.housekeeping.forget, self._memory.forget]
        work.forgetful.when_lost.append(self.subscriptions.forget)
        broker.add_middleware(TendingMiddleware(self.declarations, self.tending))
        if settings.tracing:
            self._trace()
        self.lifecycle = tell_of_processes(broker, self.system, self.declarations, announce=settings.announce)

    # Publishing

    def publish(self, event: Event[Any] | Draft, *, immediately: bool = False) -> Event[Any]:
        """Store an event, and run the handlers that this process hosts with `async_=False`."""
        draft = self._drafted(event)
        self.prepare()
        if self.inline.may_handle(draft):
            return self.inline.publish(draft)
        return self.publisher.publish(draft, immediately=immediately)

    def publish_async(self, event: Event[Any] | Draft) -> Receipt:
        """Take an event to be stored soon."""
        return self.publisher.publish_async(self._drafted(event))

    async def apublish(self, event: Event[Any] | Draft, *, immediately: bool = False) -> Event[Any]:
        """Store an event without blocking the event loop."""
        draft = self._drafted(event)
        if not self.declarations.is_complete:
            await asyncio.to_thread(self.prepare)
        if self.inline.may_handle(draft):
            return await self.inline.apublish(draft)
        return await self.publisher.apublish(draft, immediately=immediately)

    # Subscribing

    def declare(
        self,
        pattern: str,
        handler: Any,
        options: SubscriptionOptions,
        *,
        name: str | None,
        persistent: bool,
        retry_on: ExceptionTypes = (),
        give_up_on: ExceptionTypes = (),
    ) -> HandlerActor:
        """Subscribe a handler in this process; Redis is told at the next use.

        Raises:
            SubscriptionError: If the handler or the name will not do.
            InvalidPatternError: If the pattern or the filter is not in the language.
        """
        subscription = Subscription.declare(
            name_of(handler) if name is None else name, pattern, self.settings.subscription.complete(options),
            queue=self.settings.app or home_of(handler), persistent=persistent, created_ms=self.broker.clock.known_ms(),
        )  # fmt: skip
        return self._declare(handler, subscription, retry_on=retry_on, give_up_on=give_up_on)

    def subscribe(
        self, pattern: str, handler: Any, options: SubscriptionOptions | None = None, *, name: str | None = None
    ) -> Subscription:
        """Subscribe a handler at run time; it gets every event dispatched after this returned.

        It has a queue of its own, which the processes that host it read once they are started. Unless it is persistent
        it ends with the last of them.

        Raises:
            SubscriptionConflictError: If code declares a subscription of this name, or another living process has made
                one, and it is not the same: what has that name goes on as it is.
        """
        options = SubscriptionOptions() if options is None else expect(SubscriptionOptions, options)
        own_name = name_of(handler) if name is None else name
        subscription = Subscription.declare(
            own_name,
            pattern,
            self.settings.subscription.complete(options),
            queue=own_queue_of(own_name),
            persistent=False,
            created_ms=self.broker.clock.now_ms(),
            owner=self.broker.presence.name,
        )
        actor = self._declare(handler, subscription)
        try:
            self.prepare()
        except BaseException:
            self.declarations.drop(own_name)
            self._at_run_time.refuse(actor)
            raise
        self._at_run_time.add(actor)
        return actor.subscription

    def unsubscribe(self, pattern: str, name: str) -> None:
        """End a subscription; what was dispatched to it and not begun ends as cancelled.

        What runs goes on to its end: if it succeeds what it published goes out, if it fails it is not tried again. Who
        subscribes again under this name at once may get what a process had fetched and not begun.

        Raises:
            SubscriptionError: If there is none of this name and pattern.
        """
        self.prepare()
        known = self.subscriptions.get(name)
        if known is None or known.pattern != pattern:
            what = "no subscription has this name" if known is None else f"it subscribes to {known.pattern!r}"
            raise SubscriptionError(f"{name!r} cannot be unsubscribed from {pattern!r}: {what}")
        self.declarations.drop(name)
        self.subscriptions.remove(name)
        self.tending.settle(name, known.queue)

    def remember(self) -> Callable[[], None]:
        """Return what puts the handlers of this process back as they are now."""
        put_broker_back, put_handlers_back = self.broker.remember(), self._at_run_time.remember()

        def put_back() -> None:
            put_broker_back()
            put_handlers_back()
            self.inline.look_again()

        return put_back

    # Running

    def prepare(self) -> None:
        """Declare what this process subscribed and Redis does not know yet; the first time, check the stored format.

        Raises:
            RedisUnavailableError: If Redis does not answer; the next use tries again.
            SettingsError: If the bus was written by a newer version.
        """
        self.broker.clock.refresh()
        if not self.declarations.is_complete:
            self.declarations.complete()
            self.housekeeping.declare()

    def start(self) -> None:
        """Run the handlers that this process subscribed at run time, in threads of its own; later ones too.

        Nothing is dispatched here, nor is what code declares run: that is what worker processes do. None: a warning.
        """
        self.prepare()
        self.broker.presence.appear()
        self._at_run_time.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until what this process published without waiting is stored, and say whether it is."""
        return self.publisher.buffer.flush(timeout_s) and self.system.flush(timeout_s)

    def stop(self) -> None:
        """Send what is buffered, let running handlers finish, and end what ends with this process."""
        try:
            self._finish()
        finally:
            self.broker.close()
            self.declarations.come_back()

    def _finish(self) -> None:
        self.publisher.close()
        self._driver.stop()
        at_run_time = self._at_run_time.handlers
        were_any_dropped = self._at_run_time.stop()
        mortal = self.declarations.mortal()
        self.declarations.leave(mortal)
        deadline = deadline_of_leaving()
        for actor in at_run_time:
            self.declarations.drop(actor.actor_name)
            is_own = is_own_queue(actor.queue_name)
            leave_queue(self.broker, actor.queue_name, actor.actor_name, is_own=is_own, deadline=deadline)
        if mortal or were_any_dropped:
            self.tending.settle_ended({actor.actor_name for actor in mortal})
        self.system.close()

    def get_metrics(self) -> EventMetrics:
        """Return the totals of the bus."""
        return self.store.get_metrics()

    def _drafted(self, event: Event[Any] | Draft) -> Draft:
        return event if isinstance(event, Draft) else self.drafter.adopt(expect(Event, event))

    def _declare(self, handler: Any, subscription: Subscription, **rules: ExceptionTypes) -> HandlerActor:
        actor = make_actor(handler, subscription, self.broker, **rules)
        self.declarations.add(actor)
        return actor

    def _trace(self) -> None:
        tracing = Tracing()
        self.drafter.when_drafted = tracing.published
        self.broker.add_middleware(tracing)

    def _warn_of_blindness(self) -> None:
        self.system.error(
            "encryption_keys",
            "a subscription filters by payload, and a process that dispatches has no key for the payloads; give it"
            " encryption_keys, or start it where they are",
            lasts="1h",
        )

    def _carry_out(self, steps: list[Any]) -> list[Any]:
        self.prepare()
        return self.store.carry_out(self.broker.clock.now_ms(), steps)


def _limits_of(settings: Settings) -> RetentionLimits:
    return RetentionLimits(to_milliseconds(settings.retention), settings.retention_count, settings.retention_bytes)
