"""The sweeps that keep the history within its limits."""

from __future__ import annotations

from datetime import timedelta

from eventsys.bus.housekeeping import Housekeeping
from eventsys.scheduling.sweeps import Sweeps
from eventsys.settings import SchedulerSettings

#: How often old events are taken out of the log. Where events are dispatched that happens all the time anyway.
_TRIM_EVERY = timedelta(minutes=1)


def add_retention_sweeps(sweeps: Sweeps, housekeeping: Housekeeping, settings: SchedulerSettings) -> None:
    """Declare the sweeps `retention`, for the log, and `tidy`, for indexes and names, each `cleanup_interval`."""
    sweeps.add("retention", _TRIM_EVERY, housekeeping.trim)
    sweeps.add("tidy", max(_TRIM_EVERY, settings.cleanup_interval), housekeeping.tidy)
