"""The history of a bus: every event, its record, and the totals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from eventsys.clock import Clock
from eventsys.errors import NotFoundError
from eventsys.model.cipher import Cipher
from eventsys.model.durations import DurationLike
from eventsys.model.event import DelayedEvent, Event, EventRecord
from eventsys.model.expecting import expect, expect_id
from eventsys.model.metrics import EventMetrics
from eventsys.model.queries import EventFilter, Page, page_of
from eventsys.model.seal import Seal
from eventsys.model.status import EventStatus
from eventsys.model.trace import Trace
from eventsys.store.chronicle import USUAL_TRACE, Chronicle, ExportBatch, ExportForm, waiting_of_chain
from eventsys.store.delayed_answers import delayed_of_record, list_ended, taken_back
from eventsys.store.delayed_entries import read_delayed
from eventsys.store.delayed_store import DelayedStore, delayed_event_step
from eventsys.store.history import History
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.memory_room import MemoryRoom
from eventsys.store.metrics import MetricsStore
from eventsys.store.oddities import reading, text_of
from eventsys.store.record_reader import RecordReader
from eventsys.store.scripts import script
from eventsys.store.steps import Step, expiry_ms_of, packed_steps, results_of
from eventsys.store.tail import follow_log


class EventStore:
    """What happened, answered from any process.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        retention_ms: How long the record of a finished event is kept.
        clock: The time; None: this host's.
        seal: What signs events; None: they are not signed.
        cipher: What encrypts payloads; None: they are stored as they are.
        room: What refuses more where Redis is nearly full; None: one of its own.
        expire_after_ms: How long after it was due a delayed event's deliveries may begin, unless said; 0: for ever.
        window_ms: How long idempotency keys are remembered.

    Attributes:
        delayed: What waits for its time.
        metrics: Counts and percentiles.
        history: The queries behind `get_event_records`.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        *,
        retention_ms: int,
        clock: Clock | None = None,
        seal: Seal | None = None,
        cipher: Cipher | None = None,
        room: MemoryRoom | None = None,
        expire_after_ms: int = 0,
        window_ms: int = 0,
    ) -> None:
        self._expire_after_ms = expire_after_ms
        self._window_ms = window_ms
        self._seal = seal
        self._room = room or MemoryRoom(link)
        self._cipher = cipher
        self._link = link
        self._keys = keys
        self._retention_ms = retention_ms
        self._clock = clock or Clock()
        self.delayed = DelayedStore(link, keys, retention_ms=retention_ms)
        self.metrics = MetricsStore(link, keys, self._clock)
        self.history = History(link, keys, self._clock)
        self._read_records = RecordReader(link, keys).read
        self._chronicle = Chronicle(self.history, self._read_records, partial(waiting_of_chain, link, keys))

    def carry_out(self, now_ms: int, steps: list[Step]) -> list[Any]:
        """Take in events, messages and delayed entries in one round trip; return what came of each.

        When the reply was lost the steps are sent again. What is found stored then, just as it was sent, is what was
        sent, so it is not called a duplicate.

        Raises:
            BackpressureError: If Redis is full, or nearly: above 95 % of its memory limit.
        """
        self._room.check()
        told, is_repeated = self._link.run_telling(script("add"), self._keys.prefix, now_ms, *packed_steps(steps))
        results = results_of(steps, told)
        if is_repeated:
            return [own_result(step, result) for step, result in zip(steps, results, strict=True)]
        return results

    def get_event(self, event_id: str) -> EventRecord[Any]:
        """Return an event with its status and all its deliveries.

        Raises:
            NotFoundError: If there is none of this id, or its history is over.
        """
        found = self._read_records([(expect_id(event_id), None)], must_be_readable=True)
        if not found:
            raise NotFoundError(
                f"no event {event_id!r} is recorded; it was never published on this bus, or its history is over:"
                " eventsys events ls shows what there is"
            )
        return found[0]

    def get_events(self, event_ids: list[str]) -> list[EventRecord[Any]]:
        """Return the events of these ids that are recorded or delayed, in a few round trips, however many these are."""
        return self._read_records([(event_id, None) for event_id in event_ids])

    def get_event_records(self, wanted: EventFilter) -> Page[EventRecord[Any]]:
        """Return a page of events.

        Time, type, correlation id and status other than delivered are looked up: any page is read in some milliseconds
        and `total` is exact. Source, priority, text, subscription, and `delivered`, are judged event by event, at most
        10,000 of them or for 15 ms: `total` counts what was found so far, and `next_cursor` leads on.

        Raises:
            InvalidCursorError: If the cursor is none of such a query.
        """
        found = self.history.find(expect(EventFilter, wanted))
        return page_of(EventRecord[Any])(
            items=self._read_records(found.events),
            total=found.total,
            total_is_exact=found.total_is_exact,
            next_cursor=found.next_cursor,
            page=wanted.page,
            page_size=wanted.page_size,
        )

    def trace(self, an_id: str, *, most: int = USUAL_TRACE) -> Trace:
        """Return what led to what in a chain: its events with their deliveries, and those that wait for their time.

        Args:
            an_id: A correlation id, or the id of any event of the chain.
            most: Most events that are read; `is_complete` is false where there are more.

        Raises:
            NotFoundError: If there is neither such a chain nor such an event.
        """
        return self._chronicle.trace(an_id, most=most)

    def export(
        self, wanted: EventFilter | None = None, *, form: ExportForm = ExportForm.JSON_LINES
    ) -> Iterator[ExportBatch]:
        """Give the history in batches, as JSON Lines or CloudEvents; each with the cursor that resumes behind it.

        Args:
            wanted: Which events, and in which order; its `cursor` resumes an export. None: all, the oldest first.
            form: How they are written.

        Raises:
            InvalidCursorError: If the cursor is none of such a query.
        """
        return self._chronicle.export(wanted or EventFilter(order="oldest"), form)

    def follow(
        self,
        patterns: Sequence[str] = (),
        *,
        is_wanted: Callable[[], bool] = lambda: True,
        on_outage: Callable[[str], None] | None = None,
    ) -> Iterator[Event[Any]]:
        """Give every event as it is stored, from now on; only those of some types where patterns are given.

        Args:
            patterns: Types or patterns.
            is_wanted: Asked every five seconds at least, in the thread that follows: false ends it.
            on_outage: Told once why Redis does not answer any more, and once with nothing when it does again; what was
                stored meanwhile is given then. None: an outage ends it.
        """
        return follow_log(self._link, self._keys, patterns, is_wanted=is_wanted, on_outage=on_outage)

    def get_metrics(self) -> EventMetrics:
        """Return the figures of all events and deliveries together."""
        return self.metrics.totals()

    def status_of(self, event_id: str) -> EventStatus | None:
        """Return an event's status, or None when there is no such event."""
        status, opened, log = self._link.call("HMGET", self._keys.record(event_id), "status", "open", "log")
        if status is not None:
            with reading(self._keys.record(event_id)):
                return EventStatus(text_of(status))
        if opened == b"0":
            return EventStatus.DELIVERED
        return EventStatus.PENDING if log is not None or self.delayed.find(event_id) is not None else None

    def cancel_delayed_event(self, event_id: str) -> DelayedEvent[Any]:
        """Take an event back, and return it as it then is: one that waits, or the deliveries that nobody has begun.

        Raises:
            AlreadyFiredError: If it has fired, and nothing of it is left that nobody has begun.
            NotFoundError: If there is none of this id.
        """
        now_ms = self._clock.now_ms()
        [outcome] = self.delayed.cancel([expect_id(event_id)], now_ms)
        return taken_back(outcome, now_ms, f"event {event_id!r}", self.get_event)

    def cancel_delayed_key(self, key: str) -> DelayedEvent[Any]:
        """Take back the event that waits under a key.

        Raises:
            NotFoundError: If none does.
        """
        now_ms = self._clock.now_ms()
        [outcome] = self.delayed.cancel([f"={key}"], now_ms)
        return taken_back(outcome, now_ms, f"event of key {key!r}", self.get_event)

    def store_delayed_event(self, event: DelayedEvent[Any], *, expire_after: DurationLike | None = None) -> bool:
        """Keep an event until its `delay_until`; say whether it was kept, which it is not when its id is taken.

        It waits under its `key`, if it has one: another that does is cancelled.

        Args:
            event: The event.
            expire_after: How long after it was due a delivery may begin; None: as `scheduler.expire_after` says.

        Raises:
            InvalidEventError: If a part of it breaks a rule; nothing is kept.
            InvalidDurationError: If `expire_after` is no duration.
        """
        step = delayed_event_step(
            event, expire_after_ms=self._expire_after_ms if expire_after is None else expiry_ms_of(expire_after),
            window_ms=self._window_ms, retention_ms=self._retention_ms, cipher=self._cipher,
        )  # fmt: skip
        step = step if self._seal is None else self._seal.signed_step(step)
        [result] = self.carry_out(self._clock.now_ms(), [step])
        return bool(result[0] == b"delayed")

    def get_ready_events(self, limit: int = 50) -> list[DelayedEvent[Any]]:
        """Return delayed events whose time has come and that the poller has not let go; they stay."""
        return self.delayed.get_ready_events(self._clock.now_ms(), limit)

    def get_delayed_event(self, event_id: str) -> DelayedEvent[Any]:
        """Return a delayed event: one that waits, or what has become of one that has fired or was cancelled.

        Raises:
            NotFoundError: If no delayed event of this id is known.
        """
        entry = self.delayed.find(expect_id(event_id))
        if entry is not None and entry.is_event:
            return read_delayed(entry)
        found = self.get_events([event_id])
        if not found or found[0].delay_until is None:
            raise NotFoundError(
                f"no delayed event {event_id!r} is known; eventsys events show tells of one published at once"
            )
        return delayed_of_record(found[0])

    def get_delayed_events(self, wanted: EventFilter) -> Page[DelayedEvent[Any]]:
        """Return a page of delayed events: those that wait, or with another status those that ended so.

        Those that wait are in the order of their due times, the next one first; `start_time` and `end_time` bound the
        due time.
        """
        if expect(EventFilter, wanted).status in {None, EventStatus.PENDING}:
            return self.delayed.get_delayed_events(wanted)
        return list_ended(self._link, self._keys, wanted, self.history, self.get_events)


def own_result(step: Step, result: Any) -> Any:
    """Return what came of a step that was sent before: stored or delayed, if that was this very event."""
    if result[0] == b"exists":
        return [b"delayed", result[1]]
    is_own = result[0] == b"duplicate" and step[0] == "event" and result[2] == step[4].encode()
    return [b"stored", result[1]] if is_own else result
