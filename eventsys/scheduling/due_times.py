"""When a delayed event is due, as its publisher said it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from eventsys.clock import to_ms
from eventsys.errors import InvalidEventError
from eventsys.model.durations import DurationLike, to_milliseconds

#: The longest an event may be delayed, in milliseconds: ten years, leap days included.
_LONGEST_DELAY_MS = timedelta(days=3653) // timedelta(milliseconds=1)

#: Letters a key may have.
LONGEST_KEY = 512


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
    if due_ms - now_ms > _LONGEST_DELAY_MS:
        raise InvalidEventError("an event may be delayed by ten years at most")
    return due_ms


def check_key(key: str | None) -> None:
    """Refuse a key that will not do.

    Raises:
        InvalidEventError: If it is no text of 1 to 512 letters.
    """
    if key is not None and (not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY):
        raise InvalidEventError(
            f"key={ascii(key)[:60]} will not do; a key is a text of 1 to {LONGEST_KEY} letters, such as"
            " 'order:42:reminder'"
        )


def _checked(now_ms: int, at: datetime) -> int:
    if not isinstance(at, datetime):
        raise InvalidEventError(f"at is an aware datetime, not {type(at).__name__}; for a length of time use delay=")
    if at.tzinfo is None:
        raise InvalidEventError(f"at={at.isoformat()} has no time zone; use datetime.now(timezone.utc) + ...")
    # Rounded up: never early, not by a part of a millisecond.
    due_ms = to_ms(at.astimezone(UTC) + timedelta(microseconds=999))
    if due_ms < now_ms:
        raise InvalidEventError(f"at={at.isoformat()} is past; publish the event instead, or give a later time")
    return due_ms
