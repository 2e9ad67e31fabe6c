"""EventBus: publish, subscribe, and run what this process subscribed at run time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from dramatiq import Broker, Middleware
from dramatiq import Worker as DramatiqWorker

from eventsys.broker.actor import HandlerActor
from eventsys.broker.broker import EventBroker
from eventsys.bus.dispatcher import Dispatcher
from eventsys.bus.drafting import Draft, Drafter
from eventsys.bus.handlers import ExceptionTypes, home_of, make_actor, name_of
from eventsys.bus.inline import InlineHandlers
from eventsys.bus.publisher import Publisher
from eventsys.bus.receipt import Receipt
from eventsys.bus.router import Router
from eventsys.errors import EventsysError, RedisUnavailableError, SettingsError, SubscriptionError
from eventsys.model.catalog import Catalog
from eventsys.model.event import Event
from eventsys.model.queries import EventMetrics
from eventsys.model.subscription import Subscription, SubscriptionOptions
from eventsys.settings import Settings
from eventsys.store.event_store import EventStore
from eventsys.store.keys import FORMAT
from eventsys.store.subscriptions import SubscriptionStore

#: Seconds between tries to declare subscriptions while Redis is away and a worker starts.
_RETRY_S = 0.5

logger = logging.getLogger(__name__)


class EventBus:
    """Publishes events, and gives them to the handlers that subscribed.

    Subscriptions are made in memory, so that importing a module with handlers needs no Redis; they are declared there
    at the first use, by whichever process comes first.

    Args:
        broker: What carries messages.
        store: What holds events.
        settings: Sizes, limits and times.
        catalog: The models of typed payloads.
    """

    def __init__(self, broker: EventBroker, store: EventStore, settings: Settings, catalog: Catalog) -> None:
        self.broker = broker
        self.store = store
        self.settings = settings
        self.subscriptions = SubscriptionStore(broker.link, broker.keys)
        self.router = Router(self.subscriptions)
        self.dispatcher = Dispatcher(broker, self.router)
        self.drafter = Drafter(settings, broker.clock, catalog)
        self.publisher = Publisher(self._carry_out, self.drafter, settings)
        self.inline = InlineHandlers(broker, self.router, store, self.publisher)
        self._undeclared: list[HandlerActor] = []
        self._is_prepared = False
        self._lock = threading.RLock()
        self._worker: Any = None

    # Publishing

    def publish(self, draft: Draft, *, immediately: bool = False) -> Event[Any]:
        """Store an event, and run the handlers that this process hosts with `async_=False`."""
        self.prepare()
        if self.inline.may_handle(draft):
            return self.inline.publish(draft)
        return self.publisher.publish(draft, immediately=immediately)

    def publish_async(self, draft: Draft) -> Receipt:
        """Take an event to be stored soon."""
        return self.publisher.publish_async(draft)

    async def apublish(self, draft: Draft, *, immediately: bool = False) -> Event[Any]:
        """Store an event without blocking the event loop."""
        import asyncio

        if not self.is_prepared:
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
        queue: str | None = None,
        owner: str | None = None,
    ) -> HandlerActor:
        """Subscribe a handler in this process; Redis is told at the next use.

        Raises:
            SubscriptionError: If the handler or the name will not do.
            InvalidPatternError: If the pattern or the filter is not in the language.
        """
        subscription = Subscription.declare(
            name_of(handler) if name is None else name,
            pattern,
            options,
            queue=queue or self.settings.app or home_of(handler),
            persistent=persistent,
            created_ms=self.broker.clock.now_ms(),
            owner=owner,
        )
        actor = make_actor(handler, subscription, self.broker, retry_on=retry_on, give_up_on=give_up_on)
        with self._lock:
            self._undeclared.append(actor)
        return actor

    def subscribe(self, pattern: str, handler: Any, options: SubscriptionOptions, *, name: str | None) -> Subscription:
        """Subscribe a handler at run time; it gets every event dispatched after this returned.

        Unless it is persistent it has a queue of its own, and ends with this process.
        """
        persistent = bool(options.persistent)
        presence = self.broker.presence
        queue = None if persistent else f"run.{presence.name}"
        actor = self.declare(
            pattern,
            handler,
            options,
            name=name,
            persistent=persistent,
            queue=queue,
            owner=None if persistent else presence.name,
        )
        self.prepare()
        return actor.subscription

    def unsubscribe(self, pattern: str, name: str) -> None:
        """End a subscription; what was dispatched to it and not begun ends as cancelled.

        Raises:
            SubscriptionError: If there is none of this name and pattern.
        """
        known = self.subscriptions.get(name)
        if known is None or known.pattern != pattern:
            what = "no subscription has this name" if known is None else f"it subscribes to {known.pattern!r}"
            raise SubscriptionError(f"{name!r} cannot be unsubscribed from {pattern!r}: {what}")
        self.subscriptions.remove(name)
        self.broker.actors.pop(name, None)
        with self._lock:
            self._undeclared = [actor for actor in self._undeclared if actor.actor_name != name]

    # Running

    @property
    def is_prepared(self) -> bool:
        """Whether Redis knows everything that this process subscribed."""
        return self._is_prepared and not self._undeclared

    def prepare(self) -> None:
        """Declare what this process subscribed and Redis does not know yet; the first time, check the stored format.

        Raises:
            RedisUnavailableError: If Redis does not answer; the next use tries again.
            SettingsError: If the bus was written by a newer version.
        """
        if self.is_prepared:
            return
        with self._lock:
            if not self._is_prepared:
                self._check_format()
                self._is_prepared = True
            while self._undeclared:
                actor = self._undeclared[0]
                number = self.subscriptions.save(actor.subscription)
                actor.subscription = actor.subscription.model_copy(update={"number": number})
                self._undeclared.pop(0)
            self.inline.rebuild()

    def prepare_patiently(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Do what `prepare` does, and wait for Redis as long as it takes; for workers, which have nothing else to do."""
        while not stop():
            try:
                self.prepare()
            except RedisUnavailableError as error:
                logger.warning("this worker waits for Redis: %s", error, extra={"action": "worker_waits"})
                time.sleep(_RETRY_S)
            else:
                return

    def start(self) -> None:
        """Run the handlers that this process subscribed at run time, in threads of its own."""
        self.prepare()
        queues = {
            actor.queue_name
            for actor in self.broker.actors.values()
            if isinstance(actor, HandlerActor) and actor.subscription.owner == self.broker.presence.name
        }
        if queues and self._worker is None:
            self._worker = DramatiqWorker(
                self.broker, queues=queues, worker_threads=self.settings.bus.worker_count, worker_timeout=500
            )
            self._worker.start()

    def stop(self) -> None:
        """Send what is buffered, let running handlers finish, and end the subscriptions that end with this process."""
        self.publisher.close()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        for actor in list(self.broker.actors.values()):
            if isinstance(actor, HandlerActor) and actor.subscription.owner is not None:
                self.subscriptions.remove(actor.subscription.name)
                self.broker.flush(actor.queue_name)
                del self.broker.actors[actor.actor_name]

    def get_metrics(self) -> EventMetrics:
        """Return the totals of the bus."""
        return self.store.get_metrics()

    def _carry_out(self, steps: list[Any]) -> list[Any]:
        if not self.is_prepared:
            self.prepare()
        return self.store.carry_out(self.broker.clock.now_ms(), steps)

    def _check_format(self) -> None:
        _, stored = self.broker.link.pipeline(
            [("SET", self.broker.keys.format, FORMAT, "NX"), ("GET", self.broker.keys.format)]
        )
        if isinstance(stored, EventsysError):
            raise stored
        if stored is not None and int(stored) > FORMAT:
            raise SettingsError(
                f"bus {self.settings.name!r} is stored in format {int(stored)} and this version reads up to {FORMAT};"
                " upgrade eventsys in this process"
            )


class BusMiddleware(Middleware):
    """Declares the subscriptions of a worker before it begins to work, and returns waiting deliveries it can run.

    Args:
        bus: The bus of the process.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    def before_worker_boot(self, broker: Broker, worker: Any) -> None:  # noqa: ARG002
        """Declare what the process hosts; wait for Redis if need be."""
        self._bus.prepare_patiently()
        for actor in list(self._bus.broker.actors.values()):
            if isinstance(actor, HandlerActor):
                self._release(actor)

    def _release(self, actor: HandlerActor) -> None:
        try:
            while self._bus.subscriptions.release_waiting(actor.subscription, self._bus.broker.clock.now_ms()):
                pass
        except EventsysError as error:
            logger.warning("waiting deliveries of %s stay: %s", actor.actor_name, error)
