"""What the demo learns of its events: the history that every application can ask, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from eventsys import Attempt, CronRun, DelayedEvent, EventFilter, EventRecord
from eventsys.cli.demo.interruption import Interruption
from eventsys.cli.demo.stage import Stage
from eventsys.clock import Clock

#: Seconds between two looks into the history.
_LOOK_S = 0.05

#: Seconds that one scene may take beyond the delays it waits for.
_PATIENCE_S = 60.0

#: The event by which the demo finds out that its workers are there.
FIRST_TYPE = "demo.started"


class NothingHappensError(Exception):
    """The history did not show in time what should have happened."""


@dataclass(frozen=True)
class Published:
    """An event that appeared in the history."""

    record: EventRecord[Any]


@dataclass(frozen=True)
class Attempted:
    """An attempt that ended.

    Attributes:
        record: The event.
        subscription: Whose attempt it was.
        attempt: How it went.
        after: The time from publishing, or from when the event was due, to its end.
    """

    record: EventRecord[Any]
    subscription: str
    attempt: Attempt
    after: timedelta


class Chronicle:
    """Follows events through the history.

    Args:
        stage: Where they happen.
        interruption: Heeded at every wait.
        tell_waiting: Told, again and again, which event is waited for and how long it still takes.
    """

    def __init__(
        self, stage: Stage, interruption: Interruption, tell_waiting: Callable[[DelayedEvent[Any], timedelta], None]
    ) -> None:
        self._stage = stage
        self._interruption = interruption
        self._tell_waiting = tell_waiting
        self._clock = Clock()

    def pause(self, seconds: float) -> None:
        """Give people time to read."""
        self._interruption.pause(seconds)

    def follow(self, chain_id: str, *, until: str) -> Iterator[Published | Attempted]:
        """Yield what happens in a chain of events, in order, until all of it has ended.

        Args:
            chain_id: The correlation id of the chain.
            until: The type of its last event.

        Raises:
            NothingHappensError: If that takes too long.
        """
        deadline = self._clock.monotonic() + _PATIENCE_S
        seen: set[tuple[str, ...]] = set()
        is_over = False
        while not is_over:
            wanted = EventFilter(correlation_id=chain_id, order="oldest", page_size=100)
            records = self._stage.events.get_event_records(wanted).items
            is_over = _has_ended(records, until)
            for key, happening in _happenings(records):
                if key not in seen:
                    seen.add(key)
                    yield happening
            if not is_over:
                self._wait(deadline, f"{until!r} was not handled")

    def runs(self, task: str, count: int) -> Iterator[CronRun]:
        """Yield the first runs of a cron task, each as soon as it has begun.

        Ticks without a run are passed over: a machine that does much else may miss one, or not be done with the last.

        Raises:
            NothingHappensError: If that takes too long.
        """
        deadline = self._clock.monotonic() + _PATIENCE_S
        seen: set[str] = set()
        while len(seen) < count:
            for run in reversed(self._stage.events.cron.history(task).items):
                if run.target_id is not None and run.run_id not in seen:
                    seen.add(run.run_id)
                    yield run
            if len(seen) < count:
                self._wait(deadline, f"cron task {task!r} did not run {count} times")

    def wait_until_due(self, event: DelayedEvent[Any]) -> None:
        """Return when a delayed event is due."""
        clock = self._stage.events.broker.clock
        while (left := event.delay_until - clock.now()) > timedelta(0):
            self._tell_waiting(event, left)
            self.pause(min(left.total_seconds(), _LOOK_S))

    def everything(self) -> list[EventRecord[Any]]:
        """Return the records of all events of the application, oldest first."""
        page = self._stage.events.get_event_records(EventFilter(order="oldest", page_size=100))
        return [record for record in page.items if not record.type.startswith(("system.", "cron.", FIRST_TYPE))]

    def _wait(self, deadline: float, what: str) -> None:
        if not self._stage.are_workers_running():
            raise NothingHappensError(f"{what}: the workers ended")
        if self._clock.monotonic() > deadline:
            raise NothingHappensError(f"{what} within {_PATIENCE_S:.0f} seconds")
        self._interruption.pause(_LOOK_S)


def base_of(record: EventRecord[Any]) -> datetime:
    """Return the moment from which an event's handling is measured: when it was due, or else published."""
    return record.created_at if record.delay_until is None else record.delay_until


def _has_ended(records: list[EventRecord[Any]], last_type: str) -> bool:
    types = {record.type for record in records}
    return last_type in types and all(record.status.is_final for record in records)


def _happenings(records: list[EventRecord[Any]]) -> Iterator[tuple[tuple[str, ...], Published | Attempted]]:
    for record in records:
        yield (record.id,), Published(record)
        attempts = [(attempt, one.subscription) for one in record.deliveries for attempt in one.history]
        for attempt, subscription in sorted(attempts, key=lambda one: _end_of(one[0], record)):
            after = max(timedelta(0), _end_of(attempt, record) - base_of(record))
            yield (record.id, subscription, str(attempt.number)), Attempted(record, subscription, attempt, after)


def _end_of(attempt: Attempt, record: EventRecord[Any]) -> datetime:
    return (attempt.started_at or record.created_at) + (attempt.duration or timedelta(0))
