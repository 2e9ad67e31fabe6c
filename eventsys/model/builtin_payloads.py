"""The payloads of the built-in event types."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class BuiltinPayload(BaseModel):
    """What all built-in payloads share: they never change, and applications may add fields of their own."""

    model_config = ConfigDict(frozen=True, extra="allow")


class CronTaskChanged(BuiltinPayload):
    """A cron task was created, updated or deleted; it says how the task stands then, or last stood."""

    task: str
    """The task's name."""
    schedule: str | None = None
    """Five or six cron fields, or a shortcut."""
    timezone: str | None = None
    event_type: str | None = None
    """What a due task publishes; None for a task that sends an actor."""
    actor: str | None = None
    paused: bool | None = None


class CronTaskExecuted(BuiltinPayload):
    """A cron task's run began, because a tick was due or somebody asked."""

    task: str
    run_id: str | None = None
    scheduled_for: datetime | None = None
    """The tick; None for a run by hand."""
    manual: bool = False


class CronTaskCompleted(BuiltinPayload):
    """A cron task's run ended well."""

    task: str
    run_id: str | None = None
    scheduled_for: datetime | None = None
    duration_seconds: float | None = Field(default=None, ge=0)


class CronTaskFailed(BuiltinPayload):
    """A cron task's run failed, or did not end in time."""

    task: str
    run_id: str | None = None
    scheduled_for: datetime | None = None
    duration_seconds: float | None = Field(default=None, ge=0)
    error: str = ""


class SystemStarted(BuiltinPayload):
    """A process of this bus is ready."""

    host: str
    pid: int
    version: str
    """Of eventsys."""
    role: str | None = None
    subscriptions: list[str] = Field(default_factory=list)
    """The subscriptions that it hosts."""


class SystemStopped(BuiltinPayload):
    """A process of this bus has ended in order."""

    host: str
    pid: int
    version: str
    role: str | None = None
    uptime_seconds: float | None = Field(default=None, ge=0)
    reason: str | None = None


class SystemTrouble(BuiltinPayload):
    """Something needs a person: soon (`system.warning`) or now (`system.error`)."""

    message: str
    """One sentence, with the next step."""
    rule: str | None = None
    """The alert rule, or the part that speaks."""
    ended: bool = False
    """True when trouble reported before is over."""
    details: dict[str, Any] = Field(default_factory=dict)


class UserSession(BuiltinPayload):
    """A user logged in or out."""

    user_id: str
    ip: str | None = None
    device: str | None = None
    timestamp: datetime | None = None
    """When it happened, where that is not when it was published."""


class UserRegistered(BuiltinPayload):
    """A user signed up."""

    user_id: str
    email: str | None = None
    name: str | None = None
    timestamp: datetime | None = None


class DataChanged(BuiltinPayload):
    """Rows were created, updated or deleted, or shall be: `action` says what to do."""

    table_name: str
    record_id: str | int | None = None
    """The one row; None when `conditions` select them."""
    conditions: dict[str, Any] | None = None
    action: str | None = None
    timestamp: datetime | None = None


class SystemReplay(BuiltinPayload):
    """A replay of history to a subscription began or ended; it says who asked for it, and how far it came."""

    replay: str
    """The replay's id."""
    subscription: str
    requested_by: str = ""
    backfill: bool = False
    filter: dict[str, Any] = Field(default_factory=dict)
    """The conditions given, as JSON."""
    rate: float | None = None
    scanned: int = Field(default=0, ge=0)
    delivered: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)
    error: str | None = None


class SystemChange(BuiltinPayload):
    """Somebody changed something through the dashboard or its API."""

    who: str
    """Role, name and address: `operator ada@127.0.0.1`; the name is what the caller said."""
    action: str
    """What was done: `delayed.cancel`, `letters.purge` and so on."""
    target: str = ""
    """To what: an id, a name."""
    details: dict[str, Any] = Field(default_factory=dict)
    """What else was said, as JSON; never a payload."""
