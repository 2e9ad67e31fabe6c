"""When a delayed event is due, as its publisher said it."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from eventsys.clock import first_ms
from eventsys.errors import InvalidEventError
from eventsys.model.durations import TEN_YEARS, DurationLike, to_milliseconds
from eventsys.store.steps import WhenTaken

#: The longest that anything may be delayed, in milliseconds.
LONGEST_DELAY_MS = to_milliseconds(TEN_YEARS)

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
    if due_ms - now_ms > LONGEST_DELAY_MS:
        raise InvalidEventError("an event may be delayed by ten years at most")
    return due_ms


def check_key(key: str | None, when_taken: WhenTaken) -> None:
    """Refuse a key that will not do, and what cannot be done where it is taken.

    Raises:
        InvalidEventError: If it is no text of 1 to 512 letters, or `when_taken` is neither of its two words.
    """
    # A word that is only nearly one of them would replace what should have stayed.
    if when_taken not in get_args(WhenTaken):
        raise InvalidEventError(
            f"when_taken={ascii(when_taken)[:60]} will not do; where the key is taken, either 'replace' the event that"
            " waits under it or 'refuse' this one"
        )
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
    due_ms = first_ms(at)
    if due_ms < now_ms:
        raise InvalidEventError(f"at={at.isoformat()} is past; publish the event instead, or give a later time")
    return due_ms
