"""DelayedEventScheduler: events that are due later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Unpack

from pydantic import BaseModel

from eventsys.broker.attempt import attempt_of
from eventsys.broker.broker import EventBroker
from eventsys.bus.arguments import ScheduledFields, arguments_of, check_known
from eventsys.bus.drafting import Draft, Drafter, name_item
from eventsys.clock import from_ms, to_ms
from eventsys.errors import InvalidEventError
from eventsys.model.assembly import assemble_delayed
from eventsys.model.durations import DurationLike, to_milliseconds
from eventsys.model.event import DelayedEvent, DeliveryRecord, Event, WaitingRetry
from eventsys.model.expecting import expect_id
from eventsys.model.patterns import check_pattern
from eventsys.model.queries import EventFilter, Page
from eventsys.model.status import EventStatus
from eventsys.scheduling.delayed_chunks import keep_all
from eventsys.scheduling.delayed_keys import check_key, refuse_taken
from eventsys.scheduling.due_times import due_ms_of
from eventsys.scheduling.poller import PollerMiddleware
from eventsys.settings import SchedulerSettings
from eventsys.store.delayed_entries import USUAL_RETRIES
from eventsys.store.event_store import EventStore
from eventsys.store.steps import Step, WhenTaken, delayed_step, with_expiry

_Facts = dict[str, int]

#: Milliseconds by which an event's own time may differ from that of scheduling it and tell both: a batch takes a while.
_SAME_MS = 1_000


class DelayedEventScheduler:
    """Keeps events until they are due; the poller of any worker lets them go, never early.

    Args:
        broker: Whose clock counts.
        store: Where they are kept.
        settings: The defaults.
        drafter: What makes the events of `schedule_many`.
        poller: What lets them go in this process.

    Attributes:
        poller: That.
    """

    def __init__(
        self,
        broker: EventBroker,
        store: EventStore,
        settings: SchedulerSettings,
        drafter: Drafter,
        poller: PollerMiddleware,
    ) -> None:
        self._broker = broker
        self._store = store
        self._settings = settings
        self._expire_after_ms = to_milliseconds(settings.expire_after)
        self._drafter = drafter
        self.poller = poller

    # Scheduling

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
        """Keep an event until it is due; see `EventService.schedule`."""
        draft = self._drafter.draft_for("schedule", event_type, payload, {"max_retries": max_retries, **fields})
        return self.schedule_delayed_event(
            draft, at=at, delay=delay, max_retries=max_retries, key=key, when_taken=when_taken, immediately=immediately
        )

    def schedule_delayed_event(
        self,
        draft: Draft,
        *,
        at: datetime | None = None,
        delay: DurationLike | None = None,
        max_retries: int | None = None,
        key: str | None = None,
        when_taken: WhenTaken = "replace",
        immediately: bool = False,
    ) -> DelayedEvent[Any]:
        """Keep an event until it is due.

        Args:
            draft: The event.
            at: When it is due: an aware datetime that is not past. Give this, or `delay`.
            delay: How long from now it is due; at least a millisecond, at most ten years.
            max_retries: What was said for this event, to be shown.
            key: A name of the caller's for it: of the events that wait at most one has it.
            when_taken: What happens if one that waits has that key: `replace` cancels that one, `refuse` this. What
                takes the key between this call in an attempt and its commit stays, and this is dropped.
            immediately: Inside an attempt, keep it at once, whatever becomes of the attempt.

        Raises:
            InvalidEventError: If neither or both times are given, or the time or the key will not do.
            EventConflictError: If an event of this id is delayed or published already, or one waits under this key and
                `when_taken` is `refuse`.
            RedisUnavailableError: If Redis does not answer. Nothing is kept, unless it is its subclass:
            PublishUnknownError: If the reply was lost and the second try brought no other. The event may be kept; the
                same call again, with the error's `event_id` as `id`, keeps no second one, and may raise
                EventConflictError when this one is kept.
        """
        now_ms = self._broker.clock.now_ms()
        due_ms = due_ms_of(now_ms, at, delay)
        check_key(key, when_taken)
        facts = _facts(draft.event, now_ms)
        step = self._step(draft, due_ms, facts, key, when_taken)
        attempt = attempt_of(self._broker)
        if attempt is not None and not immediately:
            refuse_taken(self._store.delayed, attempt.steps, step)
            attempt.add(step, len(draft.envelope))
        else:
            self._keep([draft], [step], now_ms)
        return _delayed(draft, due_ms, facts, max_retries, key)

    def schedule_many(self, events: Iterable[Mapping[str, Any]]) -> list[DelayedEvent[Any]]:
        """Keep many events until each is due: up to 500 together or not at all, more in such chunks.

        All are checked before any is kept. Inside an attempt all are kept with its commit, or none.

        Args:
            events: Each a mapping of the arguments of `EventService.schedule`.

        Raises:
            InvalidEventError: If one of them breaks a rule, of which it says which it is; nothing is kept.
            EventConflictError: If the id or key of the only one is taken, or, in an attempt, of one; none is kept.
            BackpressureError: If they are more than an attempt may publish; none is kept.
            PartialPublishError: If that of one of several is taken, or a later chunk failed; it tells which are kept.
            RedisUnavailableError: If Redis does not answer. Nothing is kept, unless it is its subclass
                PublishUnknownError: then they may be.
        """
        now_ms = self._broker.clock.now_ms()
        drafts, steps, delayed = [], [], []
        for position, one in enumerate(events, 1):
            try:
                draft, step, event = self._read(one, now_ms)
            except Exception as error:
                name_item(error, "schedule_many", position)
                raise
            drafts.append(draft)
            steps.append(step)
            delayed.append(event)
        attempt = attempt_of(self._broker)
        if attempt is None:
            self._keep(drafts, steps, now_ms)
        else:
            kept = [*attempt.steps]
            for step in steps:
                refuse_taken(self._store.delayed, kept, step)
                kept.append(step)
            attempt.add_all(steps, sum(len(draft.envelope) for draft in drafts))
        return delayed

    def _read(self, given: Mapping[str, Any], now_ms: int) -> tuple[Draft, Step, DelayedEvent[Any]]:
        """Return the event that one of `schedule_many` is, the step that keeps it, and how it then is."""
        event_type, payload, fields = arguments_of("schedule_many", given)
        try:
            due_ms = due_ms_of(now_ms, fields.pop("at", None), fields.pop("delay", None))
        except InvalidEventError:
            check_known("schedule_many", fields)  # a misspelt delay is no missing one
            raise
        key, when_taken = fields.pop("key", None), fields.pop("when_taken", "replace")
        check_key(key, when_taken)
        draft = self._drafter.draft_for("schedule_many", event_type, payload, fields)
        facts = _facts(draft.event, now_ms)
        step = self._step(draft, due_ms, facts, key, when_taken)
        return draft, step, _delayed(draft, due_ms, facts, given.get("max_retries"), key)

    # Changing what waits

    def cancel_delayed_event(self, event_id: str | None = None, *, key: str | None = None) -> DelayedEvent[Any]:
        """Take an event back, by its id or by the key it waits under, and return it as it then is.

        One that waits never fires. Of one that has fired, the deliveries end that no process has begun or fetched.

        Raises:
            AlreadyFiredError: If it has fired, and nothing of it is left that nobody has begun.
            NotFoundError: If there is none.
        """
        if (event_id is None) == (key is None):
            raise TypeError("say which event: its id, or key=...")
        if key is not None:
            return self._store.cancel_delayed_key(key)
        assert event_id is not None
        return self._store.cancel_delayed_event(event_id)

    cancel = cancel_delayed_event

    def cancel_all(self, *, type: str | None = None, correlation_id: str | None = None) -> int:  # noqa: A002
        """Take back every event that waits, of a type or pattern, of a chain, or both; return how many.

        What is scheduled meanwhile may be met or not.

        Raises:
            InvalidPatternError: If the type is no pattern.
        """
        if type is None and correlation_id is None:
            raise TypeError("say which events: type=..., correlation_id=..., or both; type='#' means all")
        if type is not None:
            check_pattern(type)
        wanted = EventFilter(types=() if type is None else (type,), correlation_id=correlation_id)
        return self._store.delayed.cancel_all(wanted, self._broker.clock.now_ms())

    def reschedule(
        self, event_id: str, *, at: datetime | None = None, delay: DurationLike | None = None
    ) -> DelayedEvent[Any]:
        """Let a delayed event wait for another time; it keeps its id. Return it as it then is.

        Raises:
            AlreadyFiredError: If it has fired.
            NotFoundError: If nothing of this id waits.
            InvalidEventError: If the time will not do.
        """
        now_ms = self._broker.clock.now_ms()
        return self._store.delayed.reschedule(expect_id(event_id), due_ms_of(now_ms, at, delay), now_ms)

    def run_now(self, event_id: str) -> DelayedEvent[Any]:
        """Let a delayed event fire now, before its time; return it as it then is.

        Raises:
            AlreadyFiredError: If it has fired.
            NotFoundError: If nothing of this id waits.
        """
        return self._store.delayed.fire_now(expect_id(event_id), self._broker.clock.now_ms())

    def cancel_delivery(self, event_id: str, subscription: str) -> DeliveryRecord:
        """End one delivery that waits for its next attempt, or to be begun; return it as it then is.

        Args:
            event_id: The event.
            subscription: The subscription, by its name; a delivery of history again by the name and number that it has
                in `get_event` and `get_waiting_retries`, such as `mail#1`.

        Raises:
            AlreadyFiredError: If it is running, or over.
            NotFoundError: If the event has no such delivery.
        """
        present = self._store.delayed.cancel_delivery(event_id, subscription, self._broker.clock.now_ms())
        deliveries = self._store.get_event(event_id).deliveries
        return next(one for one in deliveries if one.subscription == present)

    # Asking

    def get_delayed_event(self, event_id: str) -> DelayedEvent[Any]:
        """Return a delayed event: one that waits, or what has become of one that fired or was cancelled.

        Raises:
            NotFoundError: If no delayed event of this id is known.
        """
        return self._store.get_delayed_event(event_id)

    def get_delayed_events(self, wanted: EventFilter | None = None) -> Page[DelayedEvent[Any]]:
        """Return a page of delayed events; see `EventService.get_delayed_events`."""
        return self._store.get_delayed_events(wanted or EventFilter())

    def get_waiting_retries(
        self, subscription: str | None = None, *, page: int = 1, page_size: int = 50, cursor: str | None = None
    ) -> Page[WaitingRetry[Any]]:
        """Return a page of the deliveries that failed and wait for their next attempt, the next one due first.

        Args:
            subscription: Only those of this one.
            page: Which page.
            page_size: How many it has at most.
            cursor: `next_cursor` of the page before, in place of `page`; the total counts from there on.
        """
        return self._store.delayed.get_waiting_retries(
            subscription=subscription, page=page, page_size=page_size, cursor=cursor
        )

    def get_pending_count(self) -> int:
        """Return how many delayed events wait."""
        return self._store.delayed.count()

    pending_count = get_pending_count

    # Running

    def start(self) -> None:
        """Run a poller in this process; worker processes do so by themselves."""
        self.poller.start(self._broker)

    def stop(self) -> None:
        """Stop this process's poller, whoever started it; another process leads at once."""
        self.poller.stop()

    def _step(self, draft: Draft, due_ms: int, facts: _Facts, key: str | None, when_taken: WhenTaken) -> Step:
        event = draft.event
        firing = with_expiry(draft.step, self._expire_after_ms)
        return delayed_step(
            event.id, due_ms, int(event.priority), firing,
            facts=facts, key=key, when_taken=when_taken, retention_ms=self._broker.work.retention_ms,
        )  # fmt: skip

    def _keep(self, drafts: list[Draft], steps: list[Step], now_ms: int) -> None:
        keep_all(drafts, steps, lambda chunk: self._store.carry_out(now_ms, chunk))


def _facts(event: Event[Any], now_ms: int) -> _Facts:
    """Return what the event does not say itself: when it was scheduled, unless that is the time it bears."""
    return {} if abs(to_ms(event.time) - now_ms) < _SAME_MS else {"created_ms": now_ms}


def _delayed(draft: Draft, due_ms: int, facts: _Facts, max_retries: int | None, key: str | None) -> DelayedEvent[Any]:
    created_at = from_ms(facts["created_ms"]) if facts else draft.event.time
    return assemble_delayed(
        {
            **draft.event.__dict__,
            "delay_until": from_ms(due_ms),
            "max_retries": USUAL_RETRIES if max_retries is None else max_retries,
            "retry_count": 0,
            "status": EventStatus.PENDING,
            "created_at": created_at,
            "updated_at": created_at,
            "key": key,
        }
    )
