"""The figures of a bus: all together, by event type, by subscription."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from eventsys.model.histogram import Timings


class Rates(BaseModel):
    """How often something happened a second, over the last minute, five minutes and hour."""

    model_config = ConfigDict(frozen=True)

    one_minute: float = 0.0
    five_minutes: float = 0.0
    one_hour: float = 0.0


class DeliveryFigures(BaseModel):
    """Figures of deliveries. Counts grow for ever and are exact; `backlog` and `oldest_waiting` are as of now."""

    model_config = ConfigDict(frozen=True)

    deliveries: int = 0
    """Made so far: one for each event and subscription that wanted it."""
    succeeded: int = 0
    dead: int = 0
    """Given up; a dead letter that is redriven and succeeds is counted in both."""
    expired: int = 0
    cancelled: int = 0
    attempts: int = 0
    retries: int = 0
    """Attempts that failed and were followed by another one."""
    backlog: int = 0
    """Deliveries that have not ended."""
    oldest_waiting: timedelta | None = None
    """How long ago the oldest event was stored that has not ended; None when there is none, or when it lies behind a
    thousand others."""
    success_ratio: float | None = None
    """Of the deliveries that succeeded, died or expired, how many succeeded; None before the first."""
    latency: Timings = Timings()
    """From when an event was stored, or fell due, until the first attempt of a delivery began."""
    duration: Timings = Timings()
    """Of attempts."""


class EventMetrics(DeliveryFigures):
    """The figures of a bus. Events are the application's: what the system says of itself is in `system_events`."""

    total_events: int = 0
    """Published so far, each counted once."""
    pending_events: int = 0
    """Not ended now; delayed ones too."""
    delivered_events: int = 0
    failed_events: int = 0
    expired_events: int = 0
    cancelled_events: int = 0
    unrouted_events: int = 0
    """Delivered to nobody, because no subscription wanted them."""
    system_events: int = 0
    """Published of the types `system.*` and `cron.*`."""
    rate: Rates = Rates()
    """Of events published."""
    lateness: Timings = Timings()
    """From when something delayed was due until the poller let it go."""
    dead_letters: int = 0
    """There now, of deliveries and of plain actors."""


class TypeMetrics(DeliveryFigures):
    """The figures of one event type; `*` stands for all that came after the first thousand."""

    event_type: str
    total_events: int = 0
    pending_events: int = 0
    """Stored and not ended now."""
    delivered_events: int = 0
    failed_events: int = 0
    expired_events: int = 0
    cancelled_events: int = 0
    unrouted_events: int = 0
    rate: Rates = Rates()
    """Of events published."""


class SubscriptionMetrics(DeliveryFigures):
    """The figures of one subscription; `*` stands for all that had no room of their own, or are long gone."""

    subscription: str
    rate: Rates = Rates()
    """Of attempts."""
