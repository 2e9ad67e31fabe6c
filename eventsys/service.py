"""EventService: the one object an application uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, Unpack, overload

import dramatiq
from dramatiq import Middleware
from pydantic import BaseModel

from eventsys.bus.arguments import Fields, ScheduledFields
from eventsys.bus.buffer import OnError
from eventsys.bus.carrier import broker_of, store_of
from eventsys.bus.event_bus import EventBus
from eventsys.bus.handlers import ExceptionTypes, Handler
from eventsys.bus.kept import Kept
from eventsys.bus.once import Once
from eventsys.bus.payload_types import ApplicationCatalog
from eventsys.bus.receipt import Receipt
from eventsys.bus.subscriptions import Subscriptions
from eventsys.bus.waiting import wait_for_end
from eventsys.middleware import carried_attempt
from eventsys.model.declared_options import AS_SET, Open, declared_options
from eventsys.model.durations import DurationLike
from eventsys.model.event import DelayedEvent, Event, EventRecord
from eventsys.model.metrics import EventMetrics, SubscriptionMetrics, TypeMetrics
from eventsys.model.priority import Priority
from eventsys.model.queries import EventFilter, Page
from eventsys.model.retry_policy import Backoff
from eventsys.model.subscription import Subscription, SubscriptionOptions
from eventsys.scheduling.alerts import Alerts
from eventsys.scheduling.cron import CronService
from eventsys.scheduling.duties import scheduler_of
from eventsys.scheduling.reconciling import Reconciler
from eventsys.scheduling.retention_sweeps import add_retention_sweeps
from eventsys.scheduling.sweeps import Sweeps
from eventsys.settings import Settings, load_settings
from eventsys.store.machinery import Machinery
from eventsys.store.steps import WhenTaken


class EventService(metaclass=Kept):
    """Publishes, schedules and handles events; one for an application.

    Making one opens no connection and starts no thread: both happen at the first use, in each process for itself. It
    installs its broker as Dramatiq's, so plain `@dramatiq.actor`s travel with it too.

    Args:
        settings: All settings at once; None: from the keywords, the environment, and the defaults, in this order.
        middleware: Added to the default middleware; its `after_ack` and `after_nack` must not wait.
        on_publish_error: Called with an event of `publish_async` that is given up, and the error. What it
            raises is logged, and ends nothing: `sys.exit` does nothing there.
        **given: Single settings, see `eventsys.Settings`: `redis_url=`, `name=`, `bus={"worker_count": 4}` ...

    Raises:
        SettingsError: If a setting is out of range, or there is none of that name.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        middleware: Iterable[Middleware] = (),
        on_publish_error: OnError | None = None,
        **given: Any,
    ) -> None:
        self.settings = settings = load_settings(settings, **given)
        self.broker = broker_of(settings)
        self.catalog, self.store = ApplicationCatalog(), store_of(self.broker, settings)
        self.bus = EventBus(self.broker, self.store, self.settings, self.catalog, on_publish_error=on_publish_error)
        self.replays, self.once = self.bus.replays, Once(self.broker)
        self.sweeps, self._draft = Sweeps(self.broker), self.bus.drafter.draft_for
        add_retention_sweeps(self.sweeps, self.bus.housekeeping, self.settings.scheduler)
        self.cron = CronService(self.broker, self.bus, self.store, self.sweeps, self.catalog)
        self.dead_letters, self.subscriptions = self.bus.dead_letters, Subscriptions(self.bus)
        self.delayed = scheduler_of(self.broker, self.store, settings.scheduler, self.bus.drafter, self.sweeps)
        self.machinery = Machinery(self.broker.link, self.broker.keys, self.broker.clock)
        self.alerts = Alerts(self.bus, self.machinery, self.sweeps)
        Reconciler(self.bus, self.sweeps)
        for one in (self.delayed.poller, *middleware):
            self.broker.add_middleware(one)
        dramatiq.set_broker(self.broker)

    # Handling

    def on(
        self,
        pattern: str,
        *,
        name: str | None = None,
        max_retries: int | Open = AS_SET,
        retry_delay: DurationLike | Open = AS_SET,
        backoff: Backoff = None,
        retry_on: ExceptionTypes = (),
        give_up_on: ExceptionTypes = (),
        timeout: DurationLike | Open | None = AS_SET,
        async_: bool = True,
        persistent: bool = True,
        where: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
        queue: str | None = None,
        rate: str | None = None,
        concurrency: int | None = None,
        breaker: int | None = None,
        breaker_wait: DurationLike = "30s",
        batch_size: int | None = None,
        batch_wait: DurationLike | None = None,
        was: str | tuple[str, ...] = (),
    ) -> Callable[[Handler], Handler]:
        """Subscribe the decorated function, coroutine function, or object to events; return it unchanged.

        Args:
            pattern: A type such as `user.login`; `user.*` is any one segment, `order.#` any tail, `#` everything.
            name: The name of the subscription; None: where the function is defined. Give one, so that moving the
                function does not make another subscription of it.
            max_retries: Tries after the first; left out: as the settings say, 3.
            retry_delay: The wait before a retry; left out: as the settings say, 5 s.
            backoff: None keeps the wait as it is, `exponential` doubles it up to an hour.
            retry_on: Exceptions worth another try; none given: all are.
            give_up_on: Exceptions that make a dead letter at once.
            timeout: The longest an attempt may run; None: as long as it takes; left out: as the settings say, 30 s.
            async_: False runs the handler inside `publish`, where the publishing process hosts it.
            persistent: Whether events are kept for it while no process hosts it.
            where: Conditions on the content, such as `{"payload.amount": {"numeric": [">=", 100]}}`.
            priority: The lane of its deliveries; None: the event's own.
            queue: The queue of its deliveries; None: the application's.
            rate: The most attempts that begin in a second, minute or hour, over all processes: `100/s`.
            concurrency: The most attempts that run at once, over all processes.
            breaker: So many failures in a row hold it back; each `breaker_wait` one is let through, until one succeeds.
            breaker_wait: See `breaker`.
            batch_size: The most events of one call, from 1 to 500: the handler takes a list. None: one, and no list.
            batch_wait: The longest a batch waits for more, from its first event on; None: 50 ms.
            was: Names it had before; what they left is taken over.

        Raises:
            SubscriptionError: If the handler, the name or an option will not do, or the name is taken.
            InvalidPatternError: If the pattern or the filter is not in the language.
            InvalidDurationError: If a duration is none.
        """
        options = declared_options(
            pattern, async_=async_, max_retries=max_retries, retry_delay=retry_delay, backoff=backoff, timeout=timeout,
            persistent=persistent, where=dict(where) if isinstance(where, Mapping) else where, priority=priority,
            queue=queue, rate=rate, concurrency=concurrency, breaker=breaker, breaker_wait=breaker_wait, was=was,
            batch_size=batch_size, batch_wait=batch_wait,
        )  # fmt: skip

        def subscribe(handler: Handler) -> Handler:
            self.bus.declare(
                pattern, handler, options,
                name=name, persistent=persistent, retry_on=retry_on, give_up_on=give_up_on,
            )  # fmt: skip
            return handler

        return subscribe

    def subscribe(
        self, pattern: str, handler: Any, options: SubscriptionOptions | None = None, *, name: str | None = None
    ) -> Subscription:
        """Subscribe a handler at run time; it gets every event dispatched after this returned.

        `start` runs such handlers in this process. Unless `options.persistent` says otherwise, the subscription ends
        with the process, or with the last that made one just like it: those share its deliveries.

        Args:
            pattern: As for `on`.
            handler: A function, a coroutine function, or an object with `handle(event)`, and `name` if it likes.
            options: How its deliveries are handled.
            name: The name of the subscription; None: the handler's. `SubscriptionConflictError` if another one has it.
        """
        return self.bus.subscribe(pattern, handler, options, name=name)

    def unsubscribe(self, pattern: str, name: str) -> None:
        """End a subscription or raise `SubscriptionError`; cancel what is not begun; what runs goes on."""
        self.bus.unsubscribe(pattern, name)

    def type(self, event_type: str, model: type[BaseModel], *, version: int = 1) -> None:
        """Register the payload model of a type: `publish` refuses what does not fit it."""
        self.catalog.register(event_type, model, version)

    # Publishing

    def publish(
        self, event_type: str | BaseModel, payload: Any = None, *, immediately: bool = False, **fields: Unpack[Fields]
    ) -> Event[Any]:
        """Store an event, durably when this returns, and return it.

        Inside a handler it commits together with the handler's success.

        Args:
            event_type: Its type; or, alone, an `Event`, or a model whose class is registered with `type`: the payload.
            payload: A JSON object as a dictionary, or a pydantic model.
            immediately: Inside a handler, publish at once, whatever becomes of the handler.
            **fields: `source`, `priority`, `id`, `time`, `version`, `correlation_id`, `caused_by` (the event of a batch
                that led to it), `headers`, `idempotency_key` and `window` (how long that key is remembered),
                `max_retries` and `retry_delay` (instead of what the subscriptions say), `expire_after` (how long a
                delivery may still begin; for ever if not given).

        Raises:
            InvalidEventError: If a part of the event breaks a rule; nothing was stored.
            EventConflictError: If another event of this id is stored.
            RedisUnavailableError: If Redis does not answer; nothing was stored, unless it is its subclass:
            PublishUnknownError: If the reply was lost and the second try brought no other. The event may be stored; the
                same call again, with the error's `event_id` as `id`, is safe.
            BackpressureError: If Redis is full; nothing was stored.
            InlineHandlerError: If a handler with `async_=False` failed; the event is stored.
        """
        return self.bus.publish(self._draft("publish", event_type, payload, fields), immediately=immediately)

    def publish_async(self, event_type: str | BaseModel, payload: Any = None, **fields: Unpack[Fields]) -> Receipt:
        """Take an event to be stored soon, and return a receipt at once.

        Leaving the process sends what is buffered, unless a signal ends it: there `stop` has to be called before.

        Raises:
            InvalidEventError: If a part of the event breaks a rule.
            BufferFullError: If the buffer has no room within `bus.publish_timeout`.
        """
        return self.bus.publish_async(self._draft("publish_async", event_type, payload, fields))

    async def apublish(
        self, event_type: str | BaseModel, payload: Any = None, *, immediately: bool = False, **fields: Unpack[Fields]
    ) -> Event[Any]:
        """Do what `publish` does, without blocking the event loop."""
        return await self.bus.apublish(self._draft("apublish", event_type, payload, fields), immediately=immediately)

    def publish_many(self, events: Iterable[Any], *, immediately: bool = False) -> list[Event[Any]]:
        """Store many events: all are checked first; up to 500 are stored together or not at all, more in such chunks.

        Args:
            events: Each a mapping of the arguments of `publish` (`event_type`, `payload` and the fields), a pair of
                type and payload, a registered model, or an `Event`.
            immediately: As for `publish`; without it all commit with a handler's success, up to 1,000, or none is kept.

        Raises:
            InvalidEventError: If one of them breaks a rule: `item 3 of publish_many: ...`; nothing was stored.
            PartialPublishError: If a later chunk failed, or an id is taken by other content; it tells which are stored.
        """
        drafts = self.bus.drafter.draft_many(events)
        self.bus.prepare()
        return self.bus.publisher.publish_many(drafts, immediately=immediately)

    def schedule(
        self,
        event_type: str | BaseModel,
        payload: Any = None,
        *,
        at: datetime | None = None,
        delay: DurationLike | None = None,
        key: str | None = None,
        when_taken: WhenTaken = "replace",
        max_retries: int | None = None,
        immediately: bool = False,
        **fields: Unpack[ScheduledFields],
    ) -> DelayedEvent[Any]:
        """Keep an event until it is due; inside a handler, from its commit on.

        Args:
            event_type: As for `publish`.
            payload: As for `publish`.
            at: When it is due: an aware datetime. Give this, or `delay`.
            delay: How long from now, from a millisecond to ten years.
            key: Your name for it, such as `order:42:reminder`: of the events that wait one at most has it.
            when_taken: If another one has that key: `replace` cancels that one, `refuse` raises.
            max_retries: Overrides what the subscriptions say, for this event.
            immediately: Inside a handler, keep it at once, whatever becomes of the handler.
            **fields: As for `publish`; `expire_after` is `scheduler.expire_after` unless it is given.

        Raises:
            EventConflictError: If an event of this id is delayed or published already, or one waits under this key.
            InvalidEventError: If the time or a part of the event will not do.
            RedisUnavailableError: As for `publish`.
        """
        self.bus.prepare()
        return self.delayed.schedule(
            event_type, payload, at=at, delay=delay, key=key, when_taken=when_taken, max_retries=max_retries,
            immediately=immediately, **fields,
        )  # fmt: skip

    def cancel(self, event_id: str | None = None, *, key: str | None = None) -> DelayedEvent[Any]:
        """Take an event back, by its id or key, and return it as it then is.

        One that waits never fires. Of one that has fired, the deliveries end that no process holds yet.

        Raises:
            AlreadyFiredError: If it has fired, and nothing of it is left to take back.
            NotFoundError: If there is none.
        """
        return self.delayed.cancel_delayed_event(event_id, key=key)

    def reschedule(
        self, event_id: str, *, at: datetime | None = None, delay: DurationLike | None = None
    ) -> DelayedEvent[Any]:
        """Let a delayed event wait for another time, and return it as it then is; raises what `cancel` does."""
        return self.delayed.reschedule(event_id, at=at, delay=delay)

    def run_now(self, event_id: str) -> DelayedEvent[Any]:
        """Let a delayed event fire now, and return it as it then is; raises what `cancel` does."""
        return self.delayed.run_now(event_id)

    # Asking

    def get_event(self, event_id: str) -> EventRecord[Any]:
        """Return an event with its status and every delivery: attempts, errors, times; or raise `NotFoundError`."""
        return self.store.get_event(event_id)

    def get_event_records(self, wanted: EventFilter | None = None) -> Page[EventRecord[Any]]:
        """Return a page of the history."""
        return self.store.get_event_records(wanted or EventFilter())

    def get_delayed_event(self, event_id: str) -> DelayedEvent[Any]:
        """Return a delayed event: one that waits, or what became of one; raises `NotFoundError` if none is known."""
        return self.delayed.get_delayed_event(event_id)

    def get_delayed_events(self, wanted: EventFilter | None = None) -> Page[DelayedEvent[Any]]:
        """Return a page of the delayed events that wait, the next one due first; the times asked for are due times."""
        return self.delayed.get_delayed_events(wanted)

    @overload
    def get_metrics(self) -> EventMetrics: ...
    @overload
    def get_metrics(self, by: Literal["type"]) -> dict[str, TypeMetrics]: ...
    @overload
    def get_metrics(self, by: Literal["subscription"]) -> dict[str, SubscriptionMetrics]: ...
    def get_metrics(self, by: Literal["type", "subscription"] | None = None) -> Any:
        """Return the figures of the bus, or of each event type or subscription by its name."""
        return self.store.get_metrics() if by is None else self.store.metrics.by(by)

    def wait(self, event_id: str, timeout: DurationLike = "30s") -> EventRecord[Any]:
        """Return an event's record once all its deliveries ended; raise `WaitTimeoutError` if that takes longer."""
        return wait_for_end(self.store, event_id, timeout)

    # Running

    def start(self) -> None:
        """Run here what was subscribed at run time, not what `on` declares; a worker has to run too: it dispatches."""
        self.bus.start()

    def stop(self) -> None:
        """Send what is buffered, let running handlers finish, and end what ends with this process, until used again."""
        try:
            self.delayed.stop()
        finally:
            self.bus.stop()

    def attempt_context(self) -> AbstractContextManager[None]:
        """Return what carries the current attempt into another thread: `with context: events.publish(...)` there."""
        return carried_attempt()
