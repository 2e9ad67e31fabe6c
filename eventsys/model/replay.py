"""Replays: history that is given to one subscription again."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from eventsys.model.event import UtcTime
from eventsys.model.queries import EventFilter


class ReplayState(StrEnum):
    """Where a replay stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    """Every event of its filter was looked at."""
    CANCELLED = "cancelled"
    """Somebody ended it; what had been given to the subscription by then is handled."""
    FAILED = "failed"
    """It could not go on: the subscription has ended."""


class Replay(BaseModel):
    """A replay or back-fill, as it stands."""

    model_config = ConfigDict(frozen=True)

    id: str
    subscription: str
    number: int = Field(ge=1)
    """Counts the replays of the subscription: its deliveries are recorded as `subscription#number`."""
    is_backfill: bool = False
    """Whether events are left out that the subscription had before."""
    filter: EventFilter
    rate: float = Field(gt=0)
    """Most events a second."""
    requested_by: str = ""
    state: ReplayState = ReplayState.RUNNING
    created_at: UtcTime
    updated_at: UtcTime
    ended_at: UtcTime | None = None
    reached_at: UtcTime | None = None
    """When the last event was stored that it looked at; it goes from the oldest to what was the newest at its start."""
    scanned: int = Field(default=0, ge=0)
    """Events looked at so far."""
    delivered: int = Field(default=0, ge=0)
    """Events given to the subscription so far."""
    skipped: int = Field(default=0, ge=0)
    """Events that fit and were left out: had before, not dispatched yet, or gone from the history meanwhile."""
    error: str | None = None


class ReplayCount(BaseModel):
    """What a replay would give to its subscription, counted without giving it."""

    model_config = ConfigDict(frozen=True)

    subscription: str
    events: int = Field(default=0, ge=0)
    is_exact: bool = True
    """False where counting stopped early: there are at least so many."""
    by_type: dict[str, int] = Field(default_factory=dict)
    oldest_at: UtcTime | None = None
    newest_at: UtcTime | None = None
    seconds: float = Field(default=0, ge=0)
    """How long the replay would take at its rate."""
