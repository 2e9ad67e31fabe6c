"""Durations as people write them: timedelta, seconds, or text such as "1h30m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from eventsys.errors import InvalidDurationError

DurationLike: TypeAlias = timedelta | int | float | str
"""What is accepted wherever a duration is asked for: a timedelta, a number of seconds, or text."""

TEN_YEARS = timedelta(days=3653)
"""The longest that anything is kept waiting, leap days included."""

_MICROSECONDS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PART = re.compile(rf"({_NUMBER})\s*(ms|us|[wdhms])")
_TEXT = re.compile(rf"(?:{_PART.pattern}\s*)+")
_PLAIN_NUMBER = re.compile(_NUMBER)
_QUICK = 1_000_000_000  # seconds below this, some 30 years, need no timedelta on the way
_NOTHING, _MILLISECOND = timedelta(0), timedelta(milliseconds=1)
_LONGEST_TEXT = 100  # letters; keeps hostile text away from the number parser
_HELP = "give a timedelta, a number of seconds, or text such as '250ms', '5s', '10m', '1h30m', '7d'"


def parse_duration(value: DurationLike) -> timedelta:
    """Return `value` as a timedelta.

    Args:
        value: A timedelta, a number of seconds, or text: numbers with the units us, ms, s, m, h, d, w, joined as in
            `1h30m`; a number without a unit is seconds. Zero is a duration. Microseconds are the finest step.

    Raises:
        InvalidDurationError: If it is negative, not finite, too long for a timedelta, something but shorter than a
            microsecond, or in no such form.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    """
    try:
        duration = _read(value)
    except OverflowError as error:
        raise InvalidDurationError(f"{_shown(value)} is too long; the longest duration is 999999999 days") from error
    if duration < _NOTHING:
        raise InvalidDurationError(f"{_shown(value)} is negative, and a duration cannot be; {_HELP}")
    return duration


def to_milliseconds(value: DurationLike) -> int:
    """Return `value` in whole milliseconds; what is shorter than one but not nothing becomes 1.

    Raises:
        InvalidDurationError: As `parse_duration`.
    """
    if type(value) is int and 0 <= value < _QUICK:
        return 1000 * value
    if type(value) is float and 0.001 <= value < _QUICK:
        return round(1_000_000 * value) // 1000
    duration = parse_duration(value)
    if _NOTHING < duration < _MILLISECOND:
        return 1
    return duration // _MILLISECOND


def kept_milliseconds(value: DurationLike, name: str) -> int:
    """Return `value` in whole milliseconds, for what is kept: something shorter than one would become another value.

    Args:
        value: The duration.
        name: What it is, for the error.

    Raises:
        InvalidDurationError: As `parse_duration`, or if it is shorter than a millisecond, but not nothing.
    """
    try:
        milliseconds = to_milliseconds(value)
        if milliseconds == 1:
            _check_kept(parse_duration(value))
    except InvalidDurationError as error:
        raise InvalidDurationError(f"{name} will not do: {error}") from error
    return milliseconds


def format_duration(duration: timedelta) -> str:
    """Return text that `parse_duration` reads back exactly, largest unit first: `1h30m`, `250ms`, `0s`."""
    left = duration // timedelta(microseconds=1)
    if left < 0:
        raise InvalidDurationError(f"{duration!r} is negative, and a duration cannot be; {_HELP}")
    parts = []
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, left = divmod(left, _MICROSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _read(value: DurationLike) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidDurationError(f"{_shown(value)} ({type(value).__name__}) is not a duration; {_HELP}")
    if not math.isfinite(value):
        raise InvalidDurationError(f"{value!r} is not a length of time; {_HELP} (None means no limit where allowed)")
    duration = timedelta(seconds=value)
    if not duration and value > 0:
        raise _too_short(value, "microsecond")
    return duration


def _read_text(text: str) -> timedelta:
    stripped = text.strip()
    if len(stripped) <= _LONGEST_TEXT:
        if _PLAIN_NUMBER.fullmatch(stripped):
            return _from_microseconds(Decimal(stripped) * _MICROSECONDS["s"])
        if _TEXT.fullmatch(stripped):
            return _from_microseconds(
                sum((Decimal(number) * _MICROSECONDS[unit] for number, unit in _PART.findall(stripped)), Decimal(0))
            )
    raise InvalidDurationError(f"{_shown(text)} is not a duration; {_HELP}")


def _from_microseconds(microseconds: Decimal) -> timedelta:
    if microseconds > timedelta.max // timedelta(microseconds=1):
        raise OverflowError
    if 0 < microseconds < 1:
        raise _too_short(f"{microseconds.normalize():f}us", "microsecond")
    return timedelta(microseconds=int(microseconds))


def _check_kept(duration: timedelta) -> timedelta:
    if _NOTHING < duration < _MILLISECOND:
        raise _too_short(format_duration(duration), "millisecond")
    return duration


def _check_some_time(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("it is 0, and must be some time")
    return duration


def _too_short(value: object, step: str) -> InvalidDurationError:
    return InvalidDurationError(f"{_shown(value)} is shorter than a {step}, and cannot be kept; give 1ms or more")


def _shown(value: object) -> str:
    try:
        return repr(value)[:60]
    except ValueError:  # an integer of thousands of digits has no text
        return f"this {type(value).__name__}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_check_kept),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["250ms", "5s", "1h30m"]}),
]
"""A pydantic field that takes every `DurationLike`, holds a timedelta, and is text in JSON; what lies between 0 and a
millisecond it refuses."""

SomeTime = Annotated[Duration, AfterValidator(_check_some_time)]
"""The same where 0 makes no sense: a millisecond or more."""
