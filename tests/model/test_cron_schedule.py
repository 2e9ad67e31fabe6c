"""When a cron task is due, against a second reading of the same rules that looks at every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventsys.errors import InvalidScheduleError
from eventsys.model.cron_schedule import SHORTCUTS, CronSchedule

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # an offset with half an hour
    "Australia/Lord_Howe",  # half an hour forward and back
    "America/Havana",  # at midnight
    "Africa/Casablanca",  # for one month, twice a year
    "Asia/Tehran",
    "Pacific/Apia",  # a whole day was skipped
    "Antarctica/Troll",  # two hours
]
MINUTE = timedelta(minutes=1)
WINDOW = timedelta(hours=5)


def changes(zone: str) -> list[datetime]:
    """Return when the clocks of a zone change, between 2008 and 2032."""
    moment, found = datetime(2008, 1, 1, tzinfo=UTC), []
    info = ZoneInfo(zone)
    while moment.year < 2032:
        later = moment + timedelta(days=7)
        if moment.astimezone(info).utcoffset() != later.astimezone(info).utcoffset():
            at = moment
            while at.astimezone(info).utcoffset() == moment.astimezone(info).utcoffset():
                at += timedelta(minutes=30)
            found.append(at)
        moment = later
    return found


CHANGES = [(zone, at) for zone in ZONES for at in changes(zone)]


class Fields:
    """The values that six fields allow, by the rules of cron and nothing of ours."""

    def __init__(self, seconds: list[int], minutes: list[int], hours: list[int], days: list[int], weekdays: list[int]):
        self.seconds, self.minutes, self.hours = sorted(seconds), set(minutes), set(hours)
        self.days, self.weekdays = set(days), set(weekdays)

    def __str__(self) -> str:
        columns = [_written(self.seconds, 60), _written(self.minutes, 60), _written(self.hours, 24)]
        return " ".join([*columns, _written(self.days, 31), "*", _written(self.weekdays, 7)])

    def match(self, wall: datetime) -> bool:
        """Say whether the minute of a wall-clock time is allowed."""
        of_month, of_week = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        either = len(self.days) < 31 and len(self.weekdays) < 7
        is_day = (of_month or of_week) if either else (of_month and of_week)
        return is_day and wall.hour in self.hours and wall.minute in self.minutes


def _written(values: set[int] | list[int], count: int) -> str:
    return "*" if len(values) == count else ",".join(map(str, sorted(values)))


def first_tick(fields: Fields, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Return the first tick in the window after a moment, by looking at each of its minutes."""
    ticks: list[datetime] = []
    minute = after.replace(second=0, microsecond=0) - timedelta(hours=3)
    seen: set[datetime] = set()
    each_hour = len(fields.hours) == 24
    before = minute.astimezone(zone).replace(tzinfo=None)
    while minute <= after + WINDOW:
        wall = minute.astimezone(zone).replace(tzinfo=None, fold=0)
        skipped, at = [], before + MINUTE
        while at < wall:
            skipped.append(at)
            at += MINUTE
        if not each_hour and any(fields.match(one) and one not in seen for one in skipped):
            ticks.append(minute)
        if fields.match(wall) and (each_hour or wall not in seen):
            ticks += [minute + timedelta(seconds=second) for second in fields.seconds]
        seen |= {wall, *skipped}
        before, minute = wall, minute + MINUTE
    later = [tick for tick in ticks if tick > after]
    return min(later) if later else None


def subset(low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.one_of(
        st.just(list(range(low, high + 1))),
        st.lists(st.integers(low, high), min_size=1, max_size=4, unique=True),
    )


expressions = st.builds(Fields, subset(0, 59), subset(0, 59), subset(0, 23), subset(1, 31), subset(0, 6))
near_changes = st.builds(
    lambda change, seconds: (change[0], change[1] + timedelta(seconds=seconds)),
    st.sampled_from(CHANGES),
    st.integers(-4 * 3600, 2 * 3600),
)
anywhere = st.tuples(
    st.sampled_from(ZONES),
    st.integers(0, 23 * 365 * 86_400).map(
        lambda seconds: datetime(2008, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
)

_AT_HALF_PAST_TWO = Fields([0], [30], [2], list(range(1, 32)), list(range(7)))
_EVERY_QUARTER = Fields([0], [0, 15, 30, 45], list(range(24)), list(range(1, 32)), list(range(7)))


@settings(max_examples=1_500, deadline=None)
@example(_AT_HALF_PAST_TWO, ("Europe/Berlin", datetime(2026, 3, 28, 22, tzinfo=UTC)))
@example(_AT_HALF_PAST_TWO, ("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)))
@example(_EVERY_QUARTER, ("Australia/Lord_Howe", datetime(2026, 4, 4, 14, 46, tzinfo=UTC)))
@given(expressions, st.one_of(near_changes, anywhere))
def test_the_next_tick_is_the_first_that_the_rules_allow(fields: Fields, place: tuple[str, datetime]) -> None:
    zone, after = place
    found = CronSchedule(str(fields), zone).next_after(after)
    expected = first_tick(fields, ZoneInfo(zone), after)
    if expected is None:
        assert found is None or found > after + WINDOW - MINUTE
    else:
        assert found == expected


@settings(max_examples=500, deadline=None)
@given(expressions, st.one_of(near_changes, anywhere), st.timedeltas(timedelta(seconds=1), timedelta(hours=3)))
def test_the_latest_tick_is_the_last_of_all_that_were_due(
    fields: Fields, place: tuple[str, datetime], span: timedelta
) -> None:
    schedule, after = CronSchedule(str(fields), place[0]), place[1]
    latest, tick = None, schedule.next_after(after)
    for _ in range(2_000):
        if tick is None or tick > after + span:
            break
        latest, tick = tick, schedule.next_after(tick)
    else:
        return
    assert schedule.latest_until(after + span, after=after) == latest


@settings(max_examples=300, deadline=None)
@given(expressions, anywhere)
def test_ticks_only_go_forward_and_are_whole_seconds(fields: Fields, place: tuple[str, datetime]) -> None:
    schedule = CronSchedule(str(fields), place[0])
    moment = place[1]
    for _ in range(5):
        tick = schedule.next_after(moment)
        assert tick is not None
        assert tick > moment
        assert tick.microsecond == 0
        moment = tick


def after(schedule: CronSchedule, text: str, count: int) -> list[str]:
    moment, found = datetime.fromisoformat(text), []
    for _ in range(count):
        tick = schedule.next_after(moment)
        assert tick is not None
        moment = tick
        found.append(f"{tick.astimezone(ZoneInfo(schedule.timezone)):%d %H:%M%z}")
    return found


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *"])
def test_half_past_two_is_due_once_where_it_is_skipped_and_once_where_it_comes_twice(expression: str) -> None:
    schedule = CronSchedule(expression, "Europe/Berlin")
    assert after(schedule, "2026-03-28T12:00+01:00", 2) == ["29 03:00+0200", "30 02:30+0200"]
    assert after(schedule, "2026-10-24T12:00+02:00", 2) == ["25 02:30+0200", "26 02:30+0100"]


def test_many_that_are_skipped_are_due_once() -> None:
    schedule = CronSchedule("*/10 2 * * *", "Europe/Berlin")
    assert after(schedule, "2026-03-29T01:30+01:00", 2) == ["29 03:00+0200", "30 02:00+0200"]


def test_what_is_due_in_every_hour_follows_the_running_clock() -> None:
    schedule = CronSchedule("30 * * * *", "Europe/Berlin")
    assert after(schedule, "2026-03-29T01:00+01:00", 2) == ["29 01:30+0100", "29 03:30+0200"]
    assert after(schedule, "2026-10-25T01:45+02:00", 3) == ["25 02:30+0200", "25 02:30+0100", "25 03:30+0100"]


def test_a_day_that_a_zone_skipped_is_made_up_for_once() -> None:
    """Samoa had no 30 December 2011."""
    assert after(CronSchedule("0 9 * * *", "Pacific/Apia"), "2011-12-29T12:00-10:00", 2) == [
        "31 00:00+1400",
        "31 09:00+1400",
    ]


@pytest.mark.parametrize("written", ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "@weekly"])
def test_sunday_has_many_names(written: str) -> None:
    assert after(CronSchedule(written), "2026-11-25T00:00+00:00", 2) == ["29 00:00+0000", "06 00:00+0000"]


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_shortcut_is_due_when_its_fields_are(shortcut: str) -> None:
    moment = datetime(2026, 11, 25, 13, 13, 13, tzinfo=UTC)
    assert CronSchedule(shortcut).next_after(moment) == CronSchedule(SHORTCUTS[shortcut]).next_after(moment)


@pytest.mark.parametrize(
    ("expression", "field", "says"),
    [
        ("0 25 * * *", "hour", "the hour in '0 25 * * *' is '25', which cannot be; use 0 to 23, '*/2' or '9-17'"),
        ("61 * * * * *", "second", "the second in '61 * * * * *' is '61'"),
        ("* * 0 * *", "day of the month", "the day of the month in '* * 0 * *' is '0'"),
        ("* * * JANUARY *", "month", "is 'JANUARY', which cannot be; use 1 to 12, 'JAN' or '*/3'"),
        ("* * * * 5-1", "day of the week", "is '5-1'"),
        ("*/0 * * * *", "minute", "is '*/0'"),
        ("² * * * *", "minute", "is '\\xb2'"),
        ("* * * * 1#2/3", "day of the week", "is '1#2/3'"),
        ("daily", None, "has 1 field, and must have five, or six with seconds in front"),
        ("* * *", None, "has 3 fields, and must have five, or six with seconds in front"),
        ("", None, "has 0 fields"),
        ("@never", None, "there is no shortcut '@never'; use one of @yearly"),
        ("0 0 31 2 *", None, "is never due: no day fits its month"),
        ("1," * 200 + "1 * * * *", None, "has more than 200 letters"),
        (5, None, "a cron expression is text, not int"),
    ],
)
def test_what_cannot_be_is_refused_with_field_value_and_example(expression: str, field: str | None, says: str) -> None:
    with pytest.raises(InvalidScheduleError) as caught:
        CronSchedule(expression)
    assert caught.value.field == field
    assert says in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe", None])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidScheduleError, match="use an IANA name such as 'Europe/Berlin'"):
        CronSchedule("* * * * *", zone)
