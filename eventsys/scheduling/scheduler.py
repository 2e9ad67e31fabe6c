"""DelayedEventScheduler: events that are due later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from eventsys.broker.attempt import attempt_of
from eventsys.broker.broker import EventBroker
from eventsys.bus.drafting import Draft
from eventsys.bus.outcomes import unavailable
from eventsys.clock import from_ms, to_ms
from eventsys.errors import EventConflictError, InvalidEventError, RedisUnavailableError
from eventsys.model.durations import DurationLike, to_milliseconds
from eventsys.model.event import DelayedEvent
from eventsys.model.status import EventStatus
from eventsys.settings import SchedulerSettings
from eventsys.store.event_store import EventStore
from eventsys.store.steps import Step, delayed_step

#: The longest an event may be delayed.
LONGEST_DELAY = timedelta(days=3660)


class DelayedEventScheduler:
    """Keeps events until they are due; the poller of any worker lets them go, never early.

    Args:
        broker: Whose clock counts.
        store: Where they are kept.
        settings: The defaults.
    """

    def __init__(self, broker: EventBroker, store: EventStore, settings: SchedulerSettings) -> None:
        self._broker = broker
        self._store = store
        self._settings = settings

    def schedule_delayed_event(
        self,
        draft: Draft,
        *,
        at: datetime | None = None,
        delay: DurationLike | None = None,
        max_retries: int | None = None,
        immediately: bool = False,
    ) -> DelayedEvent[Any]:
        """Keep an event until it is due.

        Args:
            draft: The event.
            at: When it is due: an aware datetime that is not past. Give this, or `delay`.
            delay: How long from now it is due; at least a millisecond, at most ten years.
            max_retries: What was said for this event, to be shown.
            immediately: Inside an attempt, keep it at once, whatever becomes of the attempt.

        Raises:
            InvalidEventError: If neither or both are given, or the time will not do.
            EventConflictError: If an event of this id waits already.
            PublishUnknownError: If the reply was lost twice; the same call again, with this id, is safe.
            RedisUnavailableError: If Redis does not answer. Nothing is kept.
        """
        now_ms = self._broker.clock.now_ms()
        due_ms = self._due_ms(now_ms, at, delay)
        retries = self._settings.max_retries if max_retries is None else max_retries
        facts = {"created_ms": now_ms, "max_retries": retries}
        event = draft.event
        step = delayed_step(event.id, due_ms, int(event.priority), draft.step, facts=facts)
        self._keep(draft, step, immediately=immediately)
        return DelayedEvent[Any](
            **{name: getattr(event, name) for name in type(event).model_fields},
            delay_until=from_ms(due_ms),
            max_retries=retries,
            status=EventStatus.PENDING,
            created_at=from_ms(now_ms),
            updated_at=from_ms(now_ms),
        )

    def cancel_delayed_event(self, event_id: str) -> DelayedEvent[Any]:
        """Take a delayed event back, and return it as it then is.

        Raises:
            AlreadyFiredError: If it has been published.
            NotFoundError: If nothing of this id waits.
        """
        return self._store.cancel_delayed_event(event_id, self._broker.clock.now_ms())

    def get_delayed_event(self, event_id: str) -> DelayedEvent[Any]:
        """Return a delayed event that waits.

        Raises:
            NotFoundError: If nothing of this id waits.
        """
        return self._store.get_delayed_event(event_id)

    def _keep(self, draft: Draft, step: Step, *, immediately: bool) -> None:
        attempt = attempt_of(self._broker)
        if attempt is not None and not immediately:
            attempt.add(step, len(draft.envelope))
            return
        try:
            [result] = self._store.carry_out(self._broker.clock.now_ms(), [step])
        except RedisUnavailableError as error:
            raise unavailable(draft, error) from error
        if result[0] == b"exists":
            event_id = draft.event.id
            raise EventConflictError(
                f"an event {event_id!r} is delayed or published already; cancel it first, or give this one another id",
                event_id=event_id,
            )

    @staticmethod
    def _due_ms(now_ms: int, at: datetime | None, delay: DurationLike | None) -> int:
        if (at is None) == (delay is None):
            raise InvalidEventError("say when the event is due: either at=datetime or delay='10m'")
        if at is not None and not isinstance(at, datetime):
            raise InvalidEventError(
                f"at is an aware datetime, not {type(at).__name__}; for a length of time use delay="
            )
        if at is None:
            assert delay is not None
            due_ms = now_ms + max(1, to_milliseconds(delay))
        elif at.tzinfo is None:
            raise InvalidEventError(f"at={at.isoformat()} has no time zone; use datetime.now(timezone.utc) + ...")
        else:
            due_ms = to_ms(at.astimezone(UTC))
            if due_ms < now_ms:
                raise InvalidEventError(f"at={at.isoformat()} is past; publish the event instead, or give a later time")
        if due_ms - now_ms > LONGEST_DELAY // timedelta(milliseconds=1):
            raise InvalidEventError("an event may be delayed by ten years at most")
        return due_ms
