"""When a cron task is due: five or six fields, read in a time zone."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from eventsys.errors import InvalidScheduleError
from eventsys.readable import many

SHORTCUTS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@minutely": "* * * * *",
}
"""What may stand for five fields."""

LONGEST_EXPRESSION = 200
"""Letters an expression may have."""

_EXAMPLES = {
    "second": "0 to 59, '*/15' or '0,30'",
    "minute": "0 to 59, '*/5' or '0,30'",
    "hour": "0 to 23, '*/2' or '9-17'",
    "day of the month": "1 to 31, 'L' for the last, or '1,15'",
    "month": "1 to 12, 'JAN' or '*/3'",
    "day of the week": "0 to 7 (both Sunday), 'MON-FRI', '5L' or '1#2'",
}
_FIELDS = tuple(_EXAMPLES)
_EXAMPLE = "'*/5 * * * *', '0 30 2 * * MON-FRI' (with seconds) or '@hourly'"
_SECOND = timedelta(seconds=1)
_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - wall time


class CronSchedule:
    """The ticks of one cron expression in one time zone.

    The fields are those of Debian's cron: where the day of the month or of the week begins with a star both must
    match, else one is enough. Where clocks change, what is due at certain hours is due once for each wall-clock time:
    one that is skipped at the end of the gap (once for all that are), one that comes twice at its first. What is due in
    every hour follows the clock as it runs: nothing in a gap, and twice what comes twice.

    Args:
        expression: Five fields (minute, hour, day of the month, month, day of the week), six with seconds in front, or
            a shortcut such as `@hourly`.
        timezone: An IANA name, such as `Europe/Berlin`.

    Raises:
        InvalidScheduleError: If the expression or the zone cannot be, or nothing is ever due.
    """

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        self._parsed = _parsed(expression)
        self.expression = " ".join(expression.split())
        self.timezone = timezone
        self._zone = zone_of(timezone)
        self._runs_every_hour = len(self._parsed.hours) == 24
        if self.next_after(_ANY_TIME.replace(tzinfo=UTC)) is None:
            raise InvalidScheduleError(f"{expression!r} is never due: no day fits its month; try {_EXAMPLE}")

    def __repr__(self) -> str:
        return f"CronSchedule({self.expression!r}, {self.timezone!r})"

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first tick after `moment`, in UTC; None when there is none within fifty years.

        Args:
            moment: Aware.
        """
        moment = moment.astimezone(UTC)
        here = moment.astimezone(self._zone)
        wall = here.replace(tzinfo=None, microsecond=0, fold=0)
        found = self._first(wall, moment)
        if self._runs_every_hour and here.fold == 0:
            again = self._first_in_second_pass(wall, moment)
            if again is not None and (found is None or again < found):
                return again
        return found

    def latest_until(self, moment: datetime, *, after: datetime) -> datetime | None:
        """Return the last tick that is later than `after` and not later than `moment`; None when there is none."""
        found = self.next_after(after)
        if found is None or found > moment:
            return None
        early, late = after, moment + _SECOND
        while late - early > _SECOND:
            middle = early + (late - early) // 2
            tick = self.next_after(middle)
            if tick is not None and tick <= moment:
                early, found = middle, tick
            else:
                late = middle
        return found

    def _first(self, wall: datetime, moment: datetime) -> datetime | None:
        """Return the first tick after `moment` among the wall-clock times after `wall`."""
        while (next_wall := self._next_wall(wall)) is not None:
            reading = _read(next_wall, self._zone)
            if reading.is_skipped and self._runs_every_hour:
                wall = reading.gap_end.astimezone(self._zone).replace(tzinfo=None, fold=0) - _SECOND
                continue
            for tick in reading.moments if self._runs_every_hour else reading.moments[:1]:
                if tick > moment:
                    return tick
            wall = next_wall
        return None

    def _first_in_second_pass(self, wall: datetime, moment: datetime) -> datetime | None:
        """Return the first tick of the repeated hour, if `moment` lies in the hour before, which reads the same."""
        reading = _read(wall, self._zone)
        if len(reading.moments) < 2:
            return None
        begins = _change(moment, reading.moments[1] + _SECOND, self._zone)
        first_wall = begins.astimezone(self._zone).replace(tzinfo=None, fold=0)
        next_wall = self._next_wall(first_wall - _SECOND)
        return None if next_wall is None else _read(next_wall, self._zone).moments[-1]

    def _next_wall(self, wall: datetime) -> datetime | None:
        simulation = copy(self._parsed)
        simulation.dt = wall
        try:
            return next(simulation)
        except (StopIteration, OverflowError):
            return None


class _Reading(NamedTuple):
    """What a wall-clock time means: one moment, two where it comes twice, the end of the gap where it is skipped."""

    moments: tuple[datetime, ...]
    is_skipped: bool = False

    @property
    def gap_end(self) -> datetime:
        return self.moments[0]


def _read(wall: datetime, zone: tzinfo) -> _Reading:
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return _Reading((first,))
    if first < second:
        return _Reading((first, second))
    return _Reading((_change(second, first, zone),), is_skipped=True)


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the second in which the zone's offset changes, between two moments with different ones."""
    old = before.astimezone(zone).utcoffset()
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name.

    Raises:
        InvalidScheduleError: If there is none.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise InvalidScheduleError(
            f"there is no time zone {ascii(name)[:80]}; use an IANA name such as 'Europe/Berlin' or 'UTC'"
        ) from error


def _parsed(expression: str) -> CronSim:
    if not isinstance(expression, str):
        raise InvalidScheduleError(f"a cron expression is text, not {type(expression).__name__}; try {_EXAMPLE}")
    shown = ascii(expression)[:80]
    if len(expression) > LONGEST_EXPRESSION:
        raise InvalidScheduleError(f"the cron expression {shown}... has more than {LONGEST_EXPRESSION} letters")
    text = expression.strip()
    if text.startswith("@"):
        if text.lower() not in SHORTCUTS:
            raise InvalidScheduleError(f"there is no shortcut {shown}; use one of {', '.join(SHORTCUTS)}")
        text = SHORTCUTS[text.lower()]
    fields = text.split()
    if len(fields) not in {5, 6}:
        raise InvalidScheduleError(
            f"the cron expression {shown} has {many(len(fields), 'field', 'fields')}, and must have five, or six with"
            f" seconds in front; try {_EXAMPLE}"
        )
    six = fields if len(fields) == 6 else ["0", *fields]
    for at, field in enumerate(six):
        _check(shown, at, field)
    try:
        return CronSim(" ".join(six), _ANY_TIME)
    except CronSimError as error:
        raise InvalidScheduleError(f"{shown} is never due: no day fits its month; try {_EXAMPLE}") from error


def _check(shown: str, at: int, field: str) -> None:
    """Let the library judge one field alone, so that the error can name it."""
    alone = ["*"] * 6
    alone[at] = field
    try:
        CronSim(" ".join(alone), _ANY_TIME)
    except (CronSimError, ValueError, AssertionError, IndexError) as error:
        name = _FIELDS[at]
        raise InvalidScheduleError(
            f"the {name} in {shown} is {ascii(field)[:40]}, which cannot be; use {_EXAMPLES[name]}", field=name
        ) from error
