"""The figures of a bus, by event type and by subscription."""

from __future__ import annotations

from typing import Any

from eventsys.clock import Clock
from eventsys.errors import InvalidEventError
from eventsys.model.metrics import EventMetrics
from eventsys.store.cron_figures import CronFigures, read_cron_figures
from eventsys.store.gauges import Gauges, read_gauges
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.metrics_look import MetricsLook
from eventsys.store.minutes import MinuteReader


class MetricsStore:
    """Answers with figures that the scripts of all processes added up: exact, whoever asks and wherever.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock) -> None:
        self._link = link
        self._keys = keys
        self._clock = clock
        self._minutes = MinuteReader()

    def look(self) -> MetricsLook:
        """Return the figures of this moment, for whoever wants several: each is read once, when it is asked for."""
        return MetricsLook(self._link, self._keys, self._clock.now_ms(), self._minutes)

    def totals(self) -> EventMetrics:
        """Return the figures of all together."""
        return self.look().totals()

    def gauges(self) -> Gauges:
        """Return the figures of this moment that nothing adds up."""
        return read_gauges(self._link, self._keys, self._clock)

    def cron(self) -> list[CronFigures]:
        """Return how often the runs of each cron task came to what."""
        return read_cron_figures(self._link, self._keys)

    def by(self, what: str) -> dict[str, Any]:
        """Return the figures by type or by subscription.

        Raises:
            InvalidEventError: If it is neither.
        """
        if what == "type":
            return dict(self.look().by_type())
        if what == "subscription":
            return dict(self.look().by_subscription())
        raise InvalidEventError(f"metrics come by='type' or by='subscription', not by={what!r}")
