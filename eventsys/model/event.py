"""What happened: events, those due later, and what is recorded about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from typing_extensions import TypeVar

from eventsys.model.event_types import check_event_type
from eventsys.model.identifiers import check_event_id
from eventsys.model.priority import Priority
from eventsys.model.status import DeliveryStatus, EventStatus
from eventsys.model.texts import LONGEST_SOURCE, check_headers


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("it is outside the years 1 to 9999 in UTC") from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An aware datetime, held in UTC; one without a time zone is refused."""

LONGEST_KEY = 512
"""Letters an idempotency key may have; Redis keeps it for its window."""


def _check_causation_id(text: str) -> str:
    return check_event_id(text, "causation_id")


P = TypeVar("P", default=dict[str, Any])


class Event(BaseModel, Generic[P]):
    """A fact: something of this type happened, at this time, with this payload.

    `Event[Notification]` carries a validated `Notification`, plain `Event` a dictionary. Events never change.
    Two with the same id are the same event, so an event can be a key or a member of a set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, AfterValidator(check_event_id)]
    """UUIDv7, or the caller's own: 1 to 128 printable characters."""
    type: Annotated[str, AfterValidator(check_event_type)]
    """Dotted lower-case segments: `service.entity.action`."""
    payload: P
    source: str = Field(default="", max_length=LONGEST_SOURCE)
    """Who published it, for people and filters; at most 512 characters."""
    time: UtcTime
    """When it was published."""
    version: int = Field(default=1, ge=1)
    """The version of the payload's shape."""
    priority: Priority = Priority.NORMAL
    correlation_id: str = Field(default="", validate_default=True)
    """Shared by all events of one chain; the id of its first event unless the caller gave another."""
    causation_id: Annotated[str, AfterValidator(_check_causation_id)] | None = None
    """The event whose handler published this one."""
    headers: Annotated[dict[str, str], AfterValidator(check_headers)] = Field(default_factory=dict)
    """What travels along, `traceparent` for one: at most 64, names of 1 to 128 characters, values of at most 8,192, and
    16,384 in all."""
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=LONGEST_KEY)
    """A second publish with this key returns this event; 1 to 512 characters."""
    depth: int = Field(default=0, ge=0)
    """How many events led to this one; 0 when no handler published it."""

    # Facts about this copy, not about the event: they are never stored or sent.
    is_replay: bool = Field(default=False, exclude=True)
    """Whether a handler sees it because history is replayed."""
    duplicate: bool = Field(default=False, exclude=True)
    """Whether publishing found it stored already, under its id or its idempotency key."""

    @field_validator("correlation_id")
    @classmethod
    def _begin_a_chain(cls, given: str, info: ValidationInfo) -> str:
        return check_event_id(given, "correlation_id") if given else str(info.data.get("id", ""))

    def __hash__(self) -> int:
        return hash(self.id)


class DelayedEvent(Event[P], Generic[P]):
    """An event due later, as it stands in the delayed store."""

    delay_until: UtcTime
    """When it is due; it never fires earlier."""
    max_retries: int = Field(default=3, ge=0)
    """Retries after the first attempt, where that was said for this event; else the usual 3 stands here, and what each
    subscription says counts."""
    retry_count: int = Field(default=0, ge=0)
    """The highest attempt of its deliveries, less one."""
    status: EventStatus = EventStatus.PENDING
    created_at: UtcTime
    updated_at: UtcTime
    key: str | None = None
    """The caller's name for it, by which it is replaced or cancelled."""


class Attempt(BaseModel):
    """One try of one delivery."""

    model_config = ConfigDict(frozen=True)

    number: int = Field(ge=1)
    """1 is the first attempt, 2 the first retry."""
    status: str
    """How it ended: `succeeded`, `failed`, `timeout` and so on."""
    started_at: UtcTime | None = None
    duration: timedelta | None = None
    worker: str | None = None
    error: str | None = None
    traceback: str | None = None


class DeliveryRecord(BaseModel):
    """One event on its way to one subscription: where it stands, and what its last attempt told."""

    model_config = ConfigDict(frozen=True)

    subscription: str
    status: DeliveryStatus
    attempts: int = Field(default=0, ge=0)
    """Attempts made so far."""
    started_at: UtcTime | None = None
    """When the last attempt began."""
    ended_at: UtcTime | None = None
    duration: timedelta | None = None
    """How long the last attempt took."""
    worker: str | None = None
    error: str | None = None
    traceback: str | None = None
    history: list[Attempt] = Field(default_factory=list)
    """Every attempt still known, oldest first."""


class WaitingRetry(BaseModel, Generic[P]):
    """A delivery that failed and waits for its next attempt."""

    model_config = ConfigDict(frozen=True)

    event: Event[P]
    subscription: str
    """Its name; of a delivery of history again, with `#` and the number of the replay, as in a record."""
    due_at: UtcTime
    """When the next attempt may begin."""
    attempts: int = Field(ge=0)
    """Attempts made so far."""


class EventRecord(Event[P], Generic[P]):
    """An event with all that is known about it: its status, and every delivery with its attempts."""

    status: EventStatus = EventStatus.PENDING
    delay_until: UtcTime | None = None
    """When it was due, for a delayed event; None for one published at once."""
    max_retries: int | None = Field(default=None, ge=0)
    """Overrides what the subscriptions say, for this event; None leaves it to them."""
    retry_count: int = Field(default=0, ge=0)
    created_at: UtcTime
    updated_at: UtcTime
    key: str | None = None
    processed_at: UtcTime | None = None
    """When its last delivery ended; None while one is open."""
    error: str | None = None
    """The error of the delivery that failed last."""
    deliveries: list[DeliveryRecord] = Field(default_factory=list)
