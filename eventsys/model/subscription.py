"""Subscriptions: who wants which events, and how they are handled."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from eventsys.errors import SubscriptionError
from eventsys.model.durations import Duration, DurationLike, SomeTime, format_duration, to_milliseconds
from eventsys.model.filters import PayloadFilter, compile_filter
from eventsys.model.identifiers import FOLDERS
from eventsys.model.patterns import check_pattern
from eventsys.model.priority import Priority
from eventsys.model.retry_policy import Backoff, RetryPolicy
from eventsys.model.stored_format import check_format

LONGEST_NAME = 200
"""Letters a subscription's name may have."""

MOST_IN_BATCH = 500
"""Deliveries that one call of a handler may take: what it publishes is committed with all of them, in one step."""

LONGEST_BATCH_WAIT = timedelta(minutes=1)
"""How long a batch may wait for more; what waits in a process is seen by no other."""

USUAL_BATCH_WAIT = timedelta(milliseconds=50)
"""How long a batch waits where nobody says."""

DECLARED = (
    "pattern", "where", "queue", "priority", "is_async", "persistent", "max_retries", "retry_delay_ms", "timeout_ms",
    "backoff", "rate", "concurrency", "breaker", "breaker_wait_ms", "batch_size", "batch_wait_ms", "was",
)  # fmt: skip
"""What a declaration says of a subscription besides its name."""

_QUEUE = re.compile(r"[a-zA-Z_][a-zA-Z0-9._-]{0,127}")
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|m|h)")


def check_subscription_name(text: str) -> str:
    """Return `text` if it can name a subscription: 1 to 200 printable characters without whitespace; not `.` nor `..`.

    Raises:
        SubscriptionError: If it cannot.
    """
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_NAME:
        raise SubscriptionError(f"a subscription's name has 1 to {LONGEST_NAME} characters; this is {ascii(text)[:80]}")
    if not text.isprintable() or " " in text:
        raise SubscriptionError(f"the name {text!r} has whitespace or unprintable characters; try {_tidied(text)!r}")
    if text in FOLDERS:
        raise SubscriptionError(f"the name {text!r} means a folder where an address ends with it; use letters")
    return text


def check_queue_name(text: str) -> str:
    """Return `text` if it can name a queue: letters, digits, `.`, `_`, `-`, at most 128, a letter or `_` first.

    Raises:
        SubscriptionError: If it cannot.
    """
    if not isinstance(text, str) or not _QUEUE.fullmatch(text):
        raise SubscriptionError(
            f"{ascii(text)[:140]} cannot name a queue; use letters, digits, '.', '_' and '-', a letter or '_' first"
        )
    return text


def _check_where(where: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if where is None else compile_filter(where).where


def _check_rate(rate: str) -> str:
    if not _RATE.fullmatch(rate):
        raise SubscriptionError(f"rate {rate!r} is not of the form '100/s', '100/m' or '100/h'")
    return rate


def _check_batch_wait(wait: timedelta) -> timedelta:
    if wait > LONGEST_BATCH_WAIT:
        longest = format_duration(LONGEST_BATCH_WAIT)
        raise SubscriptionError(f"batch_wait is {format_duration(wait)}, and at most {longest}: deliveries stand still")
    return wait


def _as_names(names: Any) -> Any:
    return (names,) if isinstance(names, str) else names


def _tidied(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]+", "-", text).strip("-") or "my-handler"


class SubscriptionState(StrEnum):
    """Whether deliveries of a subscription run, or gather in its waiting room."""

    ACTIVE = "active"
    PAUSED = "paused"
    """By an operator, until it is resumed."""
    RESUMING = "resuming"
    """What waited goes first; what is dispatched meanwhile lines up behind it."""
    OPEN = "open"
    """Its breaker is open: attempts failed in a row, and one at a time tries whether things are well again."""
    UNHOSTED = "unhosted"
    """It would run, or try whether its breaker may close, but no living worker has its handler. Listings say so."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing of it may begin now."""
        return self in {SubscriptionState.PAUSED, SubscriptionState.OPEN}


_Where = Annotated[dict[str, Any] | None, AfterValidator(_check_where)]
_Rate = Annotated[str, AfterValidator(_check_rate)]
_BatchWait = Annotated[Duration, AfterValidator(_check_batch_wait)]
_Queue = Annotated[str, AfterValidator(check_queue_name)]
_Was = Annotated[tuple[Annotated[str, AfterValidator(check_subscription_name)], ...], BeforeValidator(_as_names)]


class SubscriptionOptions(BaseModel):
    """How the deliveries of one subscription are handled; every option has a default.

    Where `max_retries`, `retry_delay` and `timeout` are not given, the settings decide, which have the same defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    async_: bool = True
    """False runs the handler inside `publish`, where the publisher hosts it."""
    max_retries: int = Field(default=3, ge=0)
    """Tries after the first: 3 makes at most four attempts."""
    retry_delay: Duration = timedelta(seconds=5)
    timeout: SomeTime | None = timedelta(seconds=30)
    """The longest an attempt may run; None sets no limit."""
    persistent: bool | None = None
    """Whether it stays while no process hosts it. None means as it is declared: True for `@events.on`, False for a
    run-time `subscribe`."""
    backoff: Backoff = None
    where: _Where = None
    """Conditions on the content, see `compile_filter`."""
    priority: Priority | None = None
    """The lane of its deliveries; None keeps the event's own."""
    queue: _Queue | None = None
    """Where its deliveries queue; None means the application's own queue."""
    rate: _Rate | None = None
    """The most attempts that may begin in a second, minute or hour, over all processes: `100/s`."""
    concurrency: int | None = Field(default=None, ge=1)
    """The most attempts that may run at once, over all processes."""
    breaker: int | None = Field(default=None, ge=1)
    """So many failed attempts in a row hold its deliveries back, until one that is let through succeeds."""
    breaker_wait: SomeTime = timedelta(seconds=30)
    """How long, before one is let through."""
    batch_size: int | None = Field(default=None, ge=1, le=MOST_IN_BATCH)
    """The most deliveries that one call of the handler takes, as a list of events; None: each has a call of its own."""
    batch_wait: _BatchWait | None = None
    """The longest a batch waits for more, from its first delivery on, at most a minute; None means 50 ms."""
    was: _Was = ()
    """Names it had before: what they left is taken over."""

    if TYPE_CHECKING:  # more may be given than is held: durations as text, one name as text

        def __init__(
            self, *, async_: bool = ..., max_retries: int = ..., retry_delay: DurationLike = ...,
            timeout: DurationLike | None = ..., persistent: bool | None = ..., backoff: Backoff = ...,
            where: Mapping[str, Any] | None = ..., priority: Priority | None = ..., queue: str | None = ...,
            rate: str | None = ..., concurrency: int | None = ..., breaker: int | None = ...,
            breaker_wait: DurationLike = ..., batch_size: int | None = ..., batch_wait: DurationLike | None = ...,
            was: str | Iterable[str] = ...,
        ) -> None: ...  # fmt: skip


class Subscription(BaseModel):
    """One subscription as it is stored: what was declared, and how it stands."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a row of a newer version may say more

    name: Annotated[str, AfterValidator(check_subscription_name)]
    pattern: Annotated[str, AfterValidator(check_pattern)]
    where: _Where = None
    queue: _Queue
    priority: Priority | None = None
    is_async: bool = True
    persistent: bool = True
    max_retries: int = Field(default=3, ge=0)
    retry_delay_ms: int = Field(default=5_000, ge=0)
    timeout_ms: int | None = Field(default=30_000, ge=0)
    backoff: Backoff = None
    rate: _Rate | None = None
    concurrency: int | None = Field(default=None, ge=1)
    breaker: int | None = Field(default=None, ge=1)
    breaker_wait_ms: int = Field(default=30_000, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    batch_wait_ms: int | None = Field(default=None, ge=0)
    was: _Was = ()

    number: int = Field(default=0, ge=0)
    """Stands for the name where space matters; given by the store, 0 before that."""
    revision: int = Field(default=1, ge=1)
    """Grows whenever the row changes."""
    declaration_hash: str = ""
    """Of what the code declared last; a process writes the row only when its own declaration differs."""
    state: SubscriptionState = SubscriptionState.ACTIVE
    """Kept beside the row, so that a new declaration leaves an operator's pause as it is."""
    created_ms: int = Field(default=0, ge=0)
    owner: str | None = None
    """The process that made it at run time; None for one declared in code."""
    declared_by: str = ""
    """The application whose code declares it; empty for one made at run time."""

    @classmethod
    def declare(
        cls,
        name: str,
        pattern: str,
        options: SubscriptionOptions,
        *,
        queue: str,
        persistent: bool,
        created_ms: int,
        owner: str | None = None,
    ) -> Subscription:
        """Return the subscription that code asks for, not yet numbered.

        Args:
            name: Its name, unique on the bus.
            pattern: The types it wants.
            options: How its deliveries are handled.
            queue: Its queue, unless the options name one; for code that of the application, which names it.
            persistent: Whether it stays while nobody hosts it, unless the options say.
            created_ms: The clock's time.
            owner: The process it belongs to, for one made at run time.

        Raises:
            SubscriptionError: If the name or the queue cannot be.
            InvalidPatternError: If the pattern cannot be.
        """
        declared = {
            "name": check_subscription_name(name),
            "pattern": check_pattern(pattern),
            "where": options.where,
            "queue": check_queue_name(queue if options.queue is None else options.queue),
            "priority": options.priority,
            "is_async": options.async_,
            "persistent": persistent if options.persistent is None else options.persistent,
            "max_retries": options.max_retries,
            "retry_delay_ms": to_milliseconds(options.retry_delay),
            "timeout_ms": None if options.timeout is None else to_milliseconds(options.timeout),
            "backoff": options.backoff,
            "rate": options.rate,
            "concurrency": options.concurrency,
            "breaker": options.breaker,
            "breaker_wait_ms": to_milliseconds(options.breaker_wait),
            "batch_size": options.batch_size,
            "batch_wait_ms": _batch_wait_ms(name, options),
            "was": [one for one in options.was if one != name],
        }
        _check_inline(name, options)
        by = {"declaration_hash": _hash(declared), "owner": owner, "declared_by": queue if owner is None else ""}
        return cls.model_validate({**declared, **by, "created_ms": created_ms})

    @classmethod
    def from_row(cls, text: str | bytes) -> Subscription:
        """Return the subscription in a stored row.

        Raises:
            SubscriptionError: If the row cannot be read.
            SettingsError: If a newer version wrote it.
        """
        check_format(text, "a subscription")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise SubscriptionError(f"a stored subscription cannot be read: {error}") from error

    def to_row(self) -> str:
        """Return the row to store, as JSON."""
        return self.model_dump_json()

    @property
    def retry_policy(self) -> RetryPolicy:
        """How its deliveries are retried."""
        delay = timedelta(milliseconds=self.retry_delay_ms)
        return RetryPolicy(max_retries=self.max_retries, retry_delay=delay, backoff=self.backoff)

    @property
    def timeout(self) -> timedelta | None:
        """The longest an attempt may run; None is no limit."""
        return None if self.timeout_ms is None else timedelta(milliseconds=self.timeout_ms)

    @property
    def batch_wait(self) -> timedelta | None:
        """The longest a batch waits for more; None where each delivery is handled by itself."""
        return None if self.batch_wait_ms is None else timedelta(milliseconds=self.batch_wait_ms)

    @property
    def is_limited(self) -> bool:
        """Whether its rate or its concurrency has a limit."""
        return self.rate is not None or self.concurrency is not None

    @property
    def is_gated(self) -> bool:
        """Whether a delivery has to ask before it goes to its queue."""
        return self.is_limited or self.state is not SubscriptionState.ACTIVE

    @property
    def payload_filter(self) -> PayloadFilter | None:
        """Its filter, compiled anew; keep it where events are judged one after another."""
        return None if self.where is None else compile_filter(self.where)


def _check_inline(name: str, options: SubscriptionOptions) -> None:
    if not options.async_ and (options.rate is not None or options.concurrency is not None):
        raise SubscriptionError(
            f"{name!r} has async_=False and a limit: inside publish nothing can hold it back; leave one of them out"
        )
    if not options.async_ and options.batch_size is not None:
        raise SubscriptionError(
            f"{name!r} has async_=False and batch_size: inside publish there is one event, no batch; leave one out"
        )


def _batch_wait_ms(name: str, options: SubscriptionOptions) -> int | None:
    if options.batch_size is None:
        if options.batch_wait is not None:
            raise SubscriptionError(
                f"{name!r} has batch_wait and no batch_size: give batch_size, the most events of one call, too"
            )
        return None
    return to_milliseconds(USUAL_BATCH_WAIT if options.batch_wait is None else options.batch_wait)


def _hash(declared: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(declared, order="deterministic")).hexdigest()[:16]
