"""Every error eventsys raises, under one root.

A message is one sentence: what failed, on which id, what was expected and what came, and the next step.
The facts are attributes too, so that code need not read the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Failed events that a `BatchError` names in its text.
_FEW = 3


class EventsysError(Exception):
    """The root of all errors of this package; each can be copied, and sent to another process with its facts."""

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is made again from its message alone, and most of ours ask for their facts too: a pool of
        # processes would break on the first.
        return type(self).__new__, (type(self), *self.args), {**self.__dict__, "args": self.args}


class BadSignatureError(EventsysError):
    """Something stored that is not signed by a key of `signing_keys`, or is not what was signed; nothing runs it."""


class PayloadEncryptedError(EventsysError):
    """A payload that is stored encrypted, and that no key of this process opens."""


class UnreadableError(EventsysError):
    """Something stored that cannot be read: nothing of ours wrote it so, or it is damaged.

    Attributes:
        key: Where it is stored.
    """

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key


# What the caller gave


class InvalidEventError(EventsysError, ValueError):
    """An event that cannot be accepted: its type, payload, id, headers or time break a rule."""


class InvalidPayloadError(InvalidEventError):
    """A payload that does not fit the model registered for its type, or the model a handler asks for."""


class InvalidPatternError(EventsysError, ValueError):
    """A subscription pattern or payload filter that is not in the language."""


class InvalidDurationError(EventsysError, ValueError):
    """A duration that is neither a timedelta, a number of seconds, nor text such as '5s'."""


class SubscriptionError(EventsysError, ValueError):
    """A subscription that cannot be declared: a name taken twice, a handler of the wrong shape."""


class SubscriptionConflictError(SubscriptionError):
    """A subscription made at run time under the name of another one, which code declares or a living process made.

    Attributes:
        name: The name.
        differ: What the two are declared with and is not the same: `pattern`, `queue`, `timeout_ms` ...
    """

    def __init__(self, message: str, *, name: str, differ: tuple[str, ...]) -> None:
        super().__init__(message)
        self.name = name
        self.differ = differ


class InvalidScheduleError(EventsysError, ValueError):
    """A cron expression or a time zone that cannot be: the message names the field, what it says, and an example.

    Attributes:
        field: The field that is wrong, such as `hour`; None when it is the expression as a whole, or the time zone.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class CronTaskError(EventsysError, ValueError):
    """A cron task that cannot be: its name, its target or an option breaks a rule."""


class SettingsError(EventsysError, ValueError):
    """A setting that is missing or out of range."""


class NotFoundError(EventsysError, LookupError):
    """Nothing is stored under this id, or no longer."""


class RedriveRefusedError(EventsysError):
    """A dead letter that was not sent again: too often already, no message at all, wanted by nobody, or refused.

    Attributes:
        letter_id: The letter, which is kept.
        cause: `gone`, `capped`, `junk`, `no_subscription` or `unfired`.
    """

    def __init__(self, message: str, *, letter_id: str, cause: str) -> None:
        super().__init__(message)
        self.letter_id = letter_id
        self.cause = cause


class AlreadyFiredError(EventsysError):
    """The delayed event has been published already, so it can no longer be taken back."""


class EventConflictError(EventsysError):
    """An id or a key that another event has.

    One of this id is stored with other content, or delayed or published already; or one waits under this key.

    Attributes:
        event_id: This id; where a key is taken, the id of the event that has it.
    """

    def __init__(self, message: str, *, event_id: str) -> None:
        super().__init__(message)
        self.event_id = event_id


class CausationDepthError(EventsysError):
    """A chain of events that publish events has reached `max_depth`: most likely a handler feeds itself."""


class InvalidCursorError(EventsysError, ValueError):
    """A cursor that no page of this query gave."""


# The way to Redis


class RedisUnavailableError(EventsysError, ConnectionError):
    """Redis did not answer: refused, timed out, still loading, or the connection broke.

    From `publish` and `schedule` it means that nothing was stored, unless it is its subclass `PublishUnknownError`:
    then the event may be stored; publish again with its `event_id` as `id`.

    Attributes:
        at_connect: Whether no connection could be opened at all.
        may_have_run: Whether the command was sent, so that Redis may have carried it out.
    """

    at_connect = False
    may_have_run = False


class RedisRefusedError(EventsysError):
    """Redis answered with an error that waiting will not mend: no permission, wrong type, a script error."""


class BackpressureError(EventsysError):
    """Redis is too full to take more; what is stored goes on being handled."""


class BufferFullError(EventsysError):
    """The buffer of `publish_async` stayed full for `publish_timeout`; the event was not accepted."""


class PublishUnknownError(RedisUnavailableError):
    """The reply was lost, and the second try brought none or was refused: the event may or may not be stored.

    The same call again is safe.
    """

    may_have_run = True

    def __init__(self, message: str, *, event_id: str) -> None:
        super().__init__(message)
        self.event_id = event_id


class PartialPublishError(EventsysError):
    """Some events of `publish_many` are stored and others not: an id was taken, or a later chunk failed.

    Attributes:
        published: The events that are stored.
        refused: Those that are not. Where `__cause__` is `PublishUnknownError`, the first 500 of them may be.
    """

    def __init__(self, message: str, *, published: list[Any], refused: list[Any]) -> None:
        super().__init__(message)
        self.published = published
        self.refused = refused


class EmbeddedRedisError(EventsysError):
    """The embedded Redis could not be found, started or reached."""


# Attempts and transactions


class AttemptEndedError(EventsysError):
    """Something was published from an attempt that has ended; its messages can no longer commit with it."""


class NotCommittedError(EventsysError):
    """The result of a publish was asked for inside the attempt that publishes it, before it commits."""


class InlineHandlerError(EventsysError):
    """A handler with `async_=False` failed inside `publish`; the event itself is stored."""

    def __init__(self, message: str, *, event: Any) -> None:
        super().__init__(message)
        self.event = event


class WaitTimeoutError(EventsysError, TimeoutError):
    """What was waited for did not happen in time."""


# What a handler may raise


class Retry(EventsysError):  # noqa: N818 - a request of the handler, not a fault
    """Raised by a handler to be tried again, after `delay` if given, else after its usual wait.

    Args:
        reason: Why; kept with the attempt.
        delay: A duration; None means what the subscription's retry policy says.
    """

    def __init__(self, reason: str = "", *, delay: Any = None) -> None:
        super().__init__(reason)
        self.delay = delay


class BatchError(EventsysError):
    """Raised by a batch handler to fail some of its events; the others succeed, with what the handler published.

    Each failed event goes its own way: it is tried again, or given up, as if it had been handled alone and had raised
    its error, which may be `Retry` or `Reject` too.

    Args:
        errors: What is wrong with each failed event, by the event's id. All others succeed; with none, all do.

    Attributes:
        errors: That.
    """

    def __init__(self, errors: Mapping[str, BaseException]) -> None:
        wrong = {key: one for key, one in errors.items() if not isinstance(one, BaseException)}
        for event_id, error in wrong.items():
            raise TypeError(f"BatchError gives each event id its exception; {event_id!r} has {ascii(error)[:80]}")
        first = "; ".join(f"{key}: {type(one).__name__}: {one}" for key, one in list(errors.items())[:_FEW])
        more = f"; and {len(errors) - _FEW} more" if len(errors) > _FEW else ""
        many = "1 event" if len(errors) == 1 else f"{len(errors)} events"
        super().__init__(f"{many} failed: {first}{more}" if errors else "no event failed")
        self.errors = dict(errors)


class Reject(EventsysError):  # noqa: N818 - a request of the handler, not a fault
    """Raised by a handler to end a delivery as a dead letter at once, without further attempts."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class BenchError(EventsysError):
    """Something that was to be measured did not happen in time."""
