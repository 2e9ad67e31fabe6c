"""Dead letters: what was given up, and is kept until a person decides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from eventsys.model.event import Event, UtcTime
from eventsys.model.patterns import check_pattern

#: Reasons of letters that are no message any more: they can be shown and purged, and never sent again.
JUNK = frozenset({"undecodable", "commit_failed"})

#: The reason of letters that a process refused to handle because of their signature: sent again they are judged anew.
FORGED = "bad_signature"

#: Why something is given up. A letter that a newer version wrote may have another reason.
REASONS = (
    "failed", "timeout", "rejected", "invalid_payload", "unknown_actor", "crash_loop", "bad_signature", "unfired",
    "undecodable", "commit_failed",
)  # fmt: skip


class DeadLetter(BaseModel):
    """What was given up, and why."""

    model_config = ConfigDict(frozen=True)

    id: str
    """`<event id>:<subscription>` of a delivery, the message id of a plain actor's message (with `#` and its place
    where a copy of it has a letter), the id of an event that did not fire; for all else the place where it stood."""
    reason: str
    """One of `REASONS`."""
    subscription: str | None = None
    """Whose delivery it was; None for what was none, and for what could not be read. Only those that could be handled
    are found by it."""
    actor: str | None = None
    """The plain actor whose message it was."""
    type: str | None = None
    """The type of the event."""
    error: str = ""
    """What the last attempt raised."""
    traceback: str = ""
    attempts: int = Field(default=0, ge=0)
    """How many there were, over all redrives."""
    first_failed_at: UtcTime | None = None
    """When the first attempt began that failed, since it was dispatched or last redriven."""
    died_at: UtcTime
    """When the last one failed, and it was given up."""
    redrives: int = Field(default=0, ge=0)
    """How often it was sent again before."""
    queue: str | None = None
    lane: int | None = None
    event: Event[dict[str, Any]] | None = None
    """The event, where it was one, or the delivery of one, that can be read."""
    content: dict[str, str] = Field(default_factory=dict)
    """What was in the queue, where it was no event: the message, or whatever could not be read."""

    @property
    def can_be_redriven(self) -> bool:
        """Whether it is a message at all; an event that was refused before it was dispatched is none."""
        is_message = self.subscription is not None or not self.content.keys().isdisjoint({"s", "m"})
        return self.reason not in JUNK and (is_message or self.reason != FORGED)


class DeadLetterFilter(BaseModel):
    """Which dead letters are meant. Every condition given must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscription: str | None = None
    actor: str | None = None
    """A plain actor."""
    types: tuple[Annotated[str, AfterValidator(check_pattern)], ...] = ()
    """Types of events, or patterns such as `user.*`; one of them must fit."""
    reason: str | None = None
    start_time: UtcTime | None = None
    """The earliest time of death, included."""
    end_time: UtcTime | None = None
    """The first time of death that is too late."""
    order: Literal["newest", "oldest"] = "newest"
    page_size: int = Field(default=20, ge=1, le=500)
    cursor: str | None = None
    """Where to go on: `next_cursor` of the page before."""

    @model_validator(mode="after")
    def _check(self) -> DeadLetterFilter:
        if self.subscription is not None and self.actor is not None:
            raise ValueError("give a subscription or a plain actor, not both: a letter belongs to one of them")
        return self


class RedriveResult(BaseModel):
    """What became of dead letters that were to be sent again."""

    model_config = ConfigDict(frozen=True)

    matched: int = 0
    """How many were meant."""
    redriven: int = 0
    """How many were sent again; 0 after a dry run."""
    refused: dict[str, int] = Field(default_factory=dict)
    """How many were not, by cause: `gone`, `capped`, `junk`, `no_subscription`, `unfired`."""
    takes_s: float = Field(default=0, ge=0)
    """How long sending them takes at the rate given, in seconds from now."""
