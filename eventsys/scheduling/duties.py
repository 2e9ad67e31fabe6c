"""The poller and the sweeps of a bus, made from its settings."""

from __future__ import annotations

from datetime import timedelta

from eventsys.broker.broker import EventBroker
from eventsys.bus.drafting import Drafter
from eventsys.model.durations import to_milliseconds
from eventsys.scheduling.poller import PollerMiddleware
from eventsys.scheduling.scheduler import DelayedEventScheduler
from eventsys.scheduling.sweeps import Sweeps
from eventsys.settings import SchedulerSettings
from eventsys.store.event_store import EventStore

#: How far ahead of its time an entry is promoted: it is then at hand whatever happens to the next few sweeps.
PROMOTED_AHEAD_MS = 3_600_000


def poller_for(settings: SchedulerSettings, sweeps: Sweeps) -> PollerMiddleware:
    """Return what lets go what is due in a process that works."""
    return PollerMiddleware(
        sweeps,
        batch_size=settings.batch_size,
        poll_interval_s=settings.poll_interval.total_seconds(),
        max_retries=settings.max_retries,
        retry_interval_ms=to_milliseconds(settings.retry_interval),
    )


def scheduler_of(
    broker: EventBroker, store: EventStore, settings: SchedulerSettings, drafter: Drafter, sweeps: Sweeps
) -> DelayedEventScheduler:
    """Return the scheduler of a bus, with its poller, after declaring its sweeps."""
    add_sweeps(sweeps, store)
    return DelayedEventScheduler(broker, store, settings, drafter, poller_for(settings, sweeps))


def add_sweeps(sweeps: Sweeps, store: EventStore) -> None:
    """Declare the sweeps of the delayed store."""
    sweeps.add("expire", timedelta(minutes=1), store.delayed.expire)
    sweeps.add(
        "promote", timedelta(minutes=1), lambda now_ms: store.delayed.promote(now_ms, now_ms + PROMOTED_AHEAD_MS)
    )
