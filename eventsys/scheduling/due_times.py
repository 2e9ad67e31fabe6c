"""When a delayed event is due, as its publisher said it."""

from __future__ import annotations

from datetime import datetime

from eventsys.clock import first_ms
from eventsys.errors import InvalidEventError
from eventsys.model.durations import TEN_YEARS, DurationLike, to_milliseconds

#: The longest that anything may be delayed, in milliseconds.
LONGEST_DELAY_MS = to_milliseconds(TEN_YEARS)


def due_ms_of(now_ms: int, at: datetime | None, delay: DurationLike | None) -> int:
    """Return when an event is due, in milliseconds since 1970.

    Args:
        now_ms: The time.
        at: An aware datetime that is not past. This is given, or `delay`.
        delay: A length of time; less than a millisecond counts as one.

    Raises:
        InvalidEventError: If neither or both are given, or the time is past, has no zone, or is too far away.
    """
    if (at is None) == (delay is None):
        raise InvalidEventError("say when the event is due: either at=datetime or delay='10m'")
    if delay is not None:
        due_ms = now_ms + max(1, to_milliseconds(delay))
    else:
        assert at is not None
        due_ms = _checked(now_ms, at)
    if due_ms - now_ms > LONGEST_DELAY_MS:
        raise InvalidEventError("an event may be delayed by ten years at most")
    return due_ms


def _checked(now_ms: int, at: datetime) -> int:
    if not isinstance(at, datetime):
        raise InvalidEventError(f"at is an aware datetime, not {type(at).__name__}; for a length of time use delay=")
    if at.tzinfo is None:
        raise InvalidEventError(f"at={at.isoformat()} has no time zone; use datetime.now(timezone.utc) + ...")
    # Rounded up: never early, not by a part of a millisecond.
    due_ms = first_ms(at)
    if due_ms < now_ms:
        raise InvalidEventError(f"at={at.isoformat()} is past; publish the event instead, or give a later time")
    return due_ms
