"""Cron tasks: what is due when, how it runs, and what became of its runs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self

import msgspec
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from eventsys.errors import CronTaskError, InvalidEventError
from eventsys.model.cron_schedule import CronSchedule
from eventsys.model.durations import TEN_YEARS, Duration
from eventsys.model.event_types import check_event_type
from eventsys.model.identifiers import FOLDERS
from eventsys.model.misfits import misfits
from eventsys.model.payloads import ANY_LENGTH, encode_payload
from eventsys.model.priority import Priority
from eventsys.model.texts import LONGEST_HEADER, LONGEST_SOURCE

LONGEST_TASK_NAME = 90
"""Letters a task's name may have: it is a part of the ids of its runs' events, which have 128."""

RUN_ID_PREFIX = "cron:"
"""How the id of an event or message begins that a run of a cron task publishes or sends."""

MOST_ROWS = 1_000
"""The largest page of tasks or runs."""


class Overlap(StrEnum):
    """What becomes of a tick that comes while an earlier run is still on."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    ALLOW = "allow"


class TaskState(StrEnum):
    """Whether a task has a next tick."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class RunOutcome(StrEnum):
    """Where a run stands, or how it ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"


def check_task_name(text: Any) -> str:
    """Return `text` if it can name a task: 1 to 90 printable characters without whitespace.

    Raises:
        CronTaskError: If it cannot.
    """
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TASK_NAME:
        raise CronTaskError(
            f"a cron task's name has 1 to {LONGEST_TASK_NAME} characters, and this is {ascii(text)[:120]}"
        )
    if not text.isprintable() or " " in text:
        raise CronTaskError(f"the name {text!a} has whitespace or unprintable characters; use letters, digits and '-'")
    return text


def _check_payload(payload: dict[str, Any]) -> dict[str, Any]:
    encode_payload(payload, max_bytes=ANY_LENGTH)
    return payload


def _check_type(event_type: str | None) -> str | None:
    return None if event_type is None else check_event_type(event_type)


def _check_secrets(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    # A header of each run's event names them; what does not fit there would fail at each tick, and not when it is said.
    length = 0 if names is None else len(",".join(names))
    if length > LONGEST_HEADER:
        raise ValueError(f"{length:,} characters with commas, and at most {LONGEST_HEADER:,} can be named")
    return names


def _check_length(duration: timedelta) -> timedelta:
    # Ticks are counted on and back by it: what leaves the calendar would fail at each of them, and not when it is said.
    if duration > TEN_YEARS:
        raise ValueError("longer than ten years")
    return duration


def _check_known(given: Mapping[str, Any], known: Collection[str]) -> None:
    unknown = next((name for name in given if name not in known), None)
    if unknown is None:
        return
    near = get_close_matches(unknown, known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
    raise CronTaskError(f"cron task {given['name']!r} has no option {unknown!r}; {advice}")


def _whole_milliseconds(moment: datetime) -> datetime:
    # As Redis and forms keep times; ticks are whole seconds, so what is cut off meant nothing.
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


_Length = Annotated[Duration, AfterValidator(_check_length)]


class CronDefinition(BaseModel):
    """What a cron task is to do: all that whoever creates it says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(check_task_name)]
    schedule: str
    """Five cron fields, six with seconds in front, or a shortcut such as `@hourly`."""
    timezone: str = "UTC"
    """The IANA time zone in which the schedule is read."""
    event_type: Annotated[str | None, AfterValidator(_check_type)] = None
    """The type of the event that is published; None where an actor is sent a message."""
    payload: Annotated[dict[str, Any], AfterValidator(_check_payload)] = Field(default_factory=dict)
    secret_fields: Annotated[tuple[str, ...] | None, AfterValidator(_check_secrets)] = None
    """Fields of the payload, dotted, that nobody is shown: those of the type's model, and what is given.
    Of what an actor is given, names of arguments, or their places from 0 on. None: neither."""
    source: str = Field(default="", max_length=LONGEST_SOURCE)
    priority: Priority = Priority.NORMAL
    actor: str | None = None
    """The Dramatiq actor that is sent a message."""
    queue: str | None = None
    """The actor's queue."""
    actor_args: tuple[Any, ...] = ()
    actor_kwargs: dict[str, Any] = Field(default_factory=dict)
    overlap: Overlap = Overlap.SKIP
    catch_up: _Length = timedelta(minutes=10)
    """How late a tick may be and still run; within a second of its time it is not late."""
    catch_up_all: bool = False
    """Whether of several missed ticks all run, one after another, and not only the latest."""
    jitter: _Length = timedelta(0)
    """The most that a tick may be put off, by chance that is the same in every process."""
    ends_at: Annotated[AwareDatetime, AfterValidator(_whole_milliseconds)] | None = None
    """The last moment at which a tick may be due, in whole milliseconds."""
    max_runs: int | None = Field(default=None, ge=1)
    """After how many runs by schedule the task ends."""
    run_timeout: _Length = timedelta(hours=1)
    """How long a run may take before it counts as failed; what it began goes on."""
    max_retries: int | None = Field(default=None, ge=0)
    """Instead of what the subscriptions or the actor say."""
    retry_delay: _Length | None = None

    @classmethod
    def make(cls, **given: Any) -> Self:
        """Return a definition, with all of it checked.

        Raises:
            InvalidScheduleError: If the schedule or the zone cannot be.
            CronTaskError: If something else cannot be; the message names it.
        """
        if check_task_name(given.get("name")) in FOLDERS:
            raise CronTaskError(f"the name {given['name']!r} means a folder where an address ends with it; use letters")
        _check_known(given, cls.model_fields)
        schedule = CronSchedule(given.get("schedule", ""), given.get("timezone", "UTC"))
        try:
            task = cls.model_validate({**given, "schedule": schedule.expression})
        except ValidationError as error:
            # Pydantic's error shows what was given.
            raise CronTaskError(f"cron task {given['name']!r} cannot be: {misfits(error)}") from None
        if (task.event_type is None) == (task.actor is None):
            raise CronTaskError(f"cron task {task.name!r} needs either event_type= or actor=, and not both")
        if task.run_timeout <= timedelta(0):
            raise CronTaskError(f"cron task {task.name!r}: run_timeout must be longer than nothing; the default is 1h")
        try:
            encode_payload({"args": list(task.actor_args), "kwargs": task.actor_kwargs}, max_bytes=ANY_LENGTH)
        except InvalidEventError as error:
            raise CronTaskError(f"cron task {task.name!r}: what its actor is given is no JSON: {error}") from error
        return task

    @cached_property
    def ticks(self) -> CronSchedule:
        """When it is due, jitter left out."""
        return CronSchedule(self.schedule, self.timezone)

    @property
    def what_is_sent(self) -> dict[str, Any]:
        """What a run hands over: the payload of its event, or what its actor is given."""
        if self.actor is None:
            return self.payload
        return {"args": list(self.actor_args), "kwargs": self.actor_kwargs}

    @property
    def declaration_hash(self) -> str:
        """What tells one definition from another."""
        text = msgspec.json.encode(self.model_dump(mode="json"), order="deterministic")
        return hashlib.sha256(text).hexdigest()[:16]

    def put_off(self, tick: datetime) -> timedelta:
        """Return by how much jitter puts a tick off: the same in every process, whole milliseconds."""
        most_ms = self.jitter // timedelta(milliseconds=1)
        chance = hashlib.sha256(f"{self.name}|{tick.timestamp():.0f}".encode()).digest()
        return timedelta(milliseconds=int.from_bytes(chance[:8], "big") % (most_ms + 1))

    def next_tick(self, after: datetime) -> datetime | None:
        """Return the first tick after a moment; None when there is none, or the task has ended by then."""
        tick = self.ticks.next_after(after)
        return None if tick is None or (self.ends_at is not None and tick > self.ends_at) else tick

    def has_tick(self, moment: datetime) -> bool:
        """Say whether a moment is a tick, and the task has not ended by then."""
        return self.next_tick(moment - timedelta(microseconds=1)) == moment


class CronTask(CronDefinition):
    """A cron task as it stands."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a row of a newer version may say more

    state: TaskState = TaskState.ACTIVE
    reason: str = ""
    """Why it is paused or ended, in a sentence."""
    next_tick_at: datetime | None = None
    """The next tick by its schedule; None when paused or ended."""
    next_run_at: datetime | None = None
    """When that runs: the tick and its jitter."""
    runs: int = 0
    """How many runs its schedule has begun."""
    is_declared: bool = False
    """Whether code declares it with `@events.cron`."""
    revision: int = 1
    """Grows with every change."""
    created_at: datetime
    updated_at: datetime


class TaskLine(BaseModel):
    """What a list shows of a cron task: all but what it hands over, and what few ask for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    schedule: str
    timezone: str
    event_type: str | None = None
    actor: str | None = None
    state: TaskState = TaskState.ACTIVE
    next_run_at: datetime | None = None


class CronRun(BaseModel):
    """One run of a cron task, or a tick that had none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: str
    run_id: str
    scheduled_for: datetime | None = None
    """The tick; None for a run by hand."""
    started_at: datetime | None = None
    """None where nothing ran."""
    ended_at: datetime | None = None
    """None while it runs."""
    outcome: RunOutcome = RunOutcome.RUNNING
    error: str = ""
    manual: bool = False
    target_id: str | None = None
    """The id of the event it published, or of the message it sent."""
