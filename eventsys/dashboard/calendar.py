"""A month of delayed events: what is due on each day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from eventsys.clock import to_ms
from eventsys.service import EventService

_DAY = timedelta(days=1)

#: Steps of a day's shade, by its share of the busiest one.
_SHADES = 4


class Day(NamedTuple):
    """One day of the calendar.

    Attributes:
        day: The day, in UTC.
        due: How much is due on it.
        shade: How full it is, from 0 to 4.
        is_in_month: Whether it belongs to the month that is shown.
        is_today: Whether it is now.
    """

    day: date
    due: int
    shade: int
    is_in_month: bool
    is_today: bool

    @property
    def next(self) -> date:
        """The day after it."""
        return self.day + _DAY


class Month(NamedTuple):
    """A month in whole weeks, from Monday on."""

    first: date
    weeks: list[list[Day]]
    total: int

    @property
    def before(self) -> str:
        """The month before it, as it stands in an address."""
        return f"{self.first - _DAY:%Y-%m}"

    @property
    def after(self) -> str:
        """The month after it."""
        return f"{self.first + timedelta(days=31):%Y-%m}"


def month_of(events: EventService, asked: str, now: datetime) -> Month:
    """Return the month that was asked for, `2026-12`, or this one where that is none."""
    first = _first_of(asked) or now.date().replace(day=1)
    begin = first - timedelta(days=first.weekday())
    end = (first + timedelta(days=31)).replace(day=1)
    days = [begin + timedelta(days=number) for number in range(((end - begin).days + 6) // 7 * 7)]
    edges = [to_ms(datetime(one.year, one.month, one.day, tzinfo=UTC)) for one in [*days, days[-1] + _DAY]]
    counts = events.store.delayed.many.per_period(edges)
    most = max(counts)
    made = [
        Day(one, count, -(-count * _SHADES // most) if most else 0, one.month == first.month, one == now.date())
        for one, count in zip(days, counts, strict=True)
    ]
    weeks = [made[at : at + 7] for at in range(0, len(made), 7)]
    return Month(first, weeks, sum(one.due for one in made if one.is_in_month))


def _first_of(text: str) -> date | None:
    try:
        found = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    # The days of the weeks around it have to be dates too.
    return found if 1971 <= found.year <= 9990 else None
