"""EventHarness: real handlers and a real Redis, under a clock that a test turns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, NoReturn, Self

from eventsys.broker.attempt import attempt_of
from eventsys.broker.interrupts import Interrupts, time_limit_error
from eventsys.broker.messages import Received
from eventsys.bus.inline import InlineMessage
from eventsys.clock import first_ms
from eventsys.errors import EventsysError, InvalidDurationError, InvalidEventError, WaitTimeoutError
from eventsys.middleware.timeout import time_limit_ms
from eventsys.middleware.witness import Outcome, Witness
from eventsys.model.durations import DurationLike, kept_milliseconds, parse_duration, to_milliseconds
from eventsys.model.event import Event, EventRecord
from eventsys.scheduling.poller import Poller
from eventsys.service import EventService
from eventsys.testing.chronicle import Chronicle, Deliveries
from eventsys.testing.findings import Findings
from eventsys.testing.hand_worker import HandWorker
from eventsys.testing.rebinding import FLUSH_S, LentService, Unlimited
from eventsys.testing.session_redis import SessionRedis, session_redis
from eventsys.testing.surfacing import Surfacing
from eventsys.testing.timeline import Timeline

#: The longest that `finish` waits for an event, on the clock of the harness.
LONGEST_WAIT = timedelta(days=3660)

logger = logging.getLogger(__name__)


class EventHarness(Findings):
    """Runs a service in the thread of a test: real code, a real Redis, and a clock that stands until it is turned.

    It takes the very service object of an application, wherever that was imported, to an empty Redis of the test
    session. Events are published, scheduled and handled as ever; nothing happens but in `run`, `advance` and their
    kin, which dispatch, handle, retry and commit in the calling thread, each thing at its due time. `close`, or the end
    of a `with` block, gives the service back: with its own Redis, and the handlers it had.

    Leases and the time limits of handlers keep real time.

    Args:
        events: The service. No worker may run on it.
        start: Where the clock stands at first: an aware datetime; None: now.
        raise_errors: Whether `run` and its kin raise what a handler raised, after it was recorded as ever. Otherwise
            retries and dead letters take their course, and `delivered` and `dead_letters` tell. `Retry` is never
            raised.
        enforce_timeouts: Whether handlers are interrupted at their time limit; False while you debug them.
        sweep_every: How often sweeps run while the clock is turned, and at the end of each turn; where nothing is due
            for days, they run more seldom.
        redis: Where the Redis comes from; None: one for all harnesses of this process.

    Raises:
        SettingsError: If a worker runs on the service, or another harness has it.
        EmbeddedRedisError: If no Redis server is found here.
        InvalidEventError: If `start` has no time zone.
        InvalidDurationError: If `sweep_every` is no duration, or shorter than a millisecond.

    Attributes:
        events: The service.
        publish: That of the service.
        schedule: That of the service.
    """

    def __init__(
        self,
        events: EventService,
        *,
        start: datetime | None = None,
        raise_errors: bool = False,
        enforce_timeouts: bool = True,
        sweep_every: DurationLike = "1h",
        redis: SessionRedis | None = None,
    ) -> None:
        super().__init__(events, Chronicle(events.broker.clock))
        self.publish, self.schedule = events.publish, events.schedule
        self._redis = redis or session_redis()
        self._clock = events.broker.clock
        self._is_open = False
        self._is_running = False
        start_ms = self._clock.now_ms() if start is None else _to_ms(start, "start")
        sweep_every_ms = _interval_ms(sweep_every)
        self._url = self._redis.lend()
        try:
            self._lent = LentService(events, self._url, _interrupts(enforce_timeouts))
        except BaseException:
            self._redis.take_back(self._url)
            raise
        self._clock.turn_to(start_ms)
        self._surfacing = Surfacing(always=raise_errors)
        self._worker = HandWorker(events.broker, handled=self._surfacing.look, enforce_limits=enforce_timeouts)
        self._begin(sweep_every_ms)

    def _begin(self, sweep_every_ms: int) -> None:
        broker = self.events.broker
        self._is_open = True
        broker.add_middleware(Witness(self._witness))
        vars(self.events)["wait"] = self._wait
        try:
            self._worker.start()
            poller = Poller(broker.link, broker.keys, broker.clock, process=broker.presence.name, batch_size=500)
            self._timeline = Timeline(
                broker.clock, self._worker, poller, self.events.sweeps, self.events.replays,
                sweep_every_ms=sweep_every_ms,
            )  # fmt: skip
        except BaseException:
            self.close()
            raise

    # The clock

    @property
    def now(self) -> datetime:
        """What the clock shows, in UTC. What your own code asks `datetime.now()` is the real time."""
        return self._clock.now()

    def advance(
        self,
        duration: DurationLike | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        milliseconds: float = 0,
        raise_errors: bool | None = None,
    ) -> Deliveries:
        """Turn the clock on, let everything happen that falls due on the way, and return the deliveries that ended.

        Args:
            duration: How far: a timedelta, seconds, or text such as `90m`. Give this, or the parts below.
            days: A part of it, as the following.
            hours: A part.
            minutes: A part.
            seconds: A part.
            milliseconds: A part.
            raise_errors: In place of what the harness was given. What is raised ends the turn at its moment; another
                `advance` goes on from there.
        """
        parts = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
        if duration is not None and parts:
            raise InvalidDurationError("give a duration, or its parts: advance('24h') or advance(hours=24)")
        length = parse_duration(parts if duration is None else duration)
        return self._turn_to(self._clock.now_ms() + to_milliseconds(length), raise_errors)

    def advance_to(self, moment: datetime, *, raise_errors: bool | None = None) -> Deliveries:
        """Do what `advance` does, up to a moment: an aware datetime.

        Raises:
            InvalidEventError: If it has no time zone, or the clock has passed it: a clock is never turned back.
        """
        moment_ms = _to_ms(moment, "moment")
        if moment_ms < self._clock.now_ms():
            raise InvalidEventError(f"{moment.isoformat()} has passed: the clock shows {self.now.isoformat()}")
        return self._turn_to(moment_ms, raise_errors)

    def run(self, *, raise_errors: bool | None = None) -> Deliveries:
        """Let everything happen that is due now, and what comes of it, and return the deliveries that ended."""
        with self._running(raise_errors) as since:
            self._timeline.settle()
            return since()

    def finish(self, event: Event[Any] | str, *, within: DurationLike = LONGEST_WAIT) -> EventRecord[Any]:
        """Turn the clock on as far as it takes until an event has ended, and return its record.

        Args:
            event: The event, or its id.
            within: How far the clock is turned at most.

        Raises:
            WaitTimeoutError: If it has not ended by then; the text tells what happened.
            NotFoundError: If there is no such event.
        """
        event_id = event if isinstance(event, str) else event.id
        self.events.bus.flush(FLUSH_S)
        self.events.get_event(event_id)

        def is_over() -> bool:
            status = self.events.store.status_of(event_id)
            return status is not None and status.is_final

        with self._running(None):
            self._timeline.run_until(self._clock.now_ms() + to_milliseconds(within), stop=is_over)
        record = self.events.get_event(event_id)
        if not record.status.is_final:
            raise WaitTimeoutError(
                f"event {event_id!r} of {record.type!r} is still {record.status} at {self.now}\n{self.story()}"
            )
        return record

    # In handlers

    def spend(self, duration: DurationLike) -> None:
        """In a handler: let it take this long, on the clock of the harness; beyond its time limit it is ended there.

        A plain function that runs inside `publish` is never ended, as in production.

        Raises:
            EventsysError: If this is not called in a handler.
        """
        attempt = attempt_of(self.events.broker)
        if attempt is None or not isinstance(attempt.message, Received):
            raise EventsysError("spend() is for handlers, to take as long as you say; elsewhere use advance()")
        message = attempt.message
        is_endless = isinstance(message, InlineMessage) and not getattr(message.actor, "is_async", False)
        limit_ms = None if is_endless else time_limit_ms(message)
        end_ms = self._clock.now_ms() + to_milliseconds(duration)
        if limit_ms is not None and end_ms - message.started_ms >= limit_ms:
            self._clock.turn_to(max(self._clock.now_ms(), message.started_ms + int(limit_ms)))
            raise time_limit_error()
        self._clock.turn_to(end_ms)

    def crash(self) -> NoReturn:
        """In a handler: let the worker die here, as by a signal; what it held is taken over and tried again.

        Raises:
            EventsysError: If this is not called in a handler.
        """
        if attempt_of(self.events.broker) is None:
            raise EventsysError("crash() is for handlers; outside of them no attempt is under way that could be lost")
        self._worker.die()

    # The end

    def close(self) -> None:
        """Give the service back as it was; nothing happens the second time."""
        if not self._is_open:
            return
        self._is_open = False
        vars(self.events).pop("wait", None)
        try:
            self._worker.stop()
        finally:
            self._clock.go_on()
            self._lent.give_back()
            self._redis.take_back(self._url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _turn_to(self, moment_ms: int, raise_errors: bool | None) -> Deliveries:
        with self._running(raise_errors) as since:
            self._timeline.run_until(moment_ms)
            return since()

    @contextmanager
    def _running(self, raise_errors: bool | None) -> Iterator[Callable[[], Deliveries]]:
        """Be at work, and give what returns the attempts since then."""
        if not self._is_open:
            raise EventsysError("this harness is closed; make another one")
        if self._is_running:
            raise EventsysError("the clock is being turned already; a handler cannot turn it, only spend() time")
        self._is_running, began = True, len(self._chronicle.attempts)
        try:
            if not self.events.bus.flush(FLUSH_S):
                raise EventsysError(f"what was published without waiting could not be stored within {FLUSH_S:g} s")
            self.events.bus.prepare()
            self._worker.tend(at_once=True)
            with self._surfacing.raising(raise_errors):
                yield lambda: Deliveries(self._chronicle.attempts[began:])
        finally:
            self._is_running = False

    def _witness(self, message: Received, outcome: Outcome, error: BaseException | None) -> None:
        self._chronicle.take(message, outcome, error)
        self._surfacing.note(error)

    def _wait(self, event_id: str, timeout: DurationLike = "30s") -> EventRecord[Any]:
        """Stand in for `EventService.wait`, which would wait for a worker that there is not."""
        return self.finish(event_id, within=timeout)


def _interrupts(enforced: bool) -> Interrupts:
    def stuck(message: Any, _error: BaseException) -> None:
        # A worker would end its process here; that of a test stays.
        logger.critical("%s does not react to its timeout", message, extra={"action": "stuck_in_test"})

    return (Interrupts if enforced else Unlimited)(stuck)


def _to_ms(moment: datetime, name: str) -> int:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidEventError(f"{name}={moment!r} is no aware datetime; use datetime(..., tzinfo=timezone.utc)")
    return first_ms(moment.astimezone(UTC))  # as due times are: what is due at this moment is due then


def _interval_ms(sweep_every: DurationLike) -> int:
    interval_ms = kept_milliseconds(sweep_every, "sweep_every")
    if not interval_ms:
        raise InvalidDurationError(f"sweep_every={sweep_every!r} will not do: it must be some time, such as '1h'")
    return interval_ms
