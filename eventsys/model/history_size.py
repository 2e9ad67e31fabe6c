"""How much history there is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from eventsys.model.event import UtcTime


class HistorySize(BaseModel):
    """What the log holds, and what was taken out of it."""

    model_config = ConfigDict(frozen=True)

    events: int = Field(default=0, ge=0)
    """Events in the log, without those of the system."""
    bytes: int = Field(default=0, ge=0)
    """Bytes of their stored form. With records and indexes Redis needs a few hundred more for each."""
    undispatched_bytes: int = Field(default=0, ge=0)
    """Of these, what no dispatcher has seen; about that much, as commits report it."""
    system_events: int = Field(default=0, ge=0)
    """Events of types `system.*`."""
    cron_events: int = Field(default=0, ge=0)
    """Events of types `cron.*`."""
    oldest_at: UtcTime | None = None
    """When the oldest event of the log was stored; None when there is none."""
    trimmed_events: int = Field(default=0, ge=0)
    """Taken out so far, for their age or their number, without those of the system, which are kept by number alone."""
    trimmed_young_events: int = Field(default=0, ge=0)
    """Of these, what was younger than the retention: there were too many, or too large ones."""
