"""What a cron task does when a tick has come, perhaps late: pure arithmetic, so that it can be tested as such."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from eventsys.model.cron_task import CronDefinition

#: Missed ticks are counted up to here; a task due each second misses 86,400 a day.
MOST_COUNTED = 1_000

#: A tick is looked at a moment after its time; so long after it, it is late, and one that is caught up on.
LATE = timedelta(seconds=1)


class Missed(NamedTuple):
    """Ticks that will never run.

    Attributes:
        first: The first of them.
        last: The last of them.
        ticks: How many; `MOST_COUNTED` means at least so many.
    """

    first: datetime
    last: datetime
    ticks: int


class Plan(NamedTuple):
    """What to do.

    Attributes:
        run: The tick that runs now, or None.
        missed: What is given up, or None.
        next: The tick to wait for; None when there is none any more.
        is_late: Whether `run` is followed by others that are due already: they run one after another.
    """

    run: datetime | None
    missed: Missed | None
    next: datetime | None
    is_late: bool = False


def plan_tick(task: CronDefinition, tick: datetime, now: datetime) -> Plan:
    """Return what to do about a tick that has come.

    A tick that is late, and later than the task's catch-up window, is missed. Of several that came in the meantime the
    latest runs, or with `catch_up_all` each of those within the window, one after another: the next is due by then.

    Args:
        task: The task.
        tick: The tick, in UTC.
        now: The time; a tick is never before its time, so an earlier one counts as the tick's own.
    """
    reached = max(tick, now - task.put_off(tick))
    oldest = reached - max(task.catch_up, LATE)
    if task.catch_up_all:
        run = tick if tick >= oldest else task.next_tick(oldest - timedelta(microseconds=1))
        if run is not None and run <= reached:
            following = task.next_tick(run)
            is_late = following is not None and following <= reached
            return Plan(run, _missed(task, tick, run), following, is_late)
        return Plan(None, _missed(task, tick, None, until=reached), run)
    latest = task.ticks.latest_until(_not_beyond(reached, task.ends_at), after=tick) or tick
    following = task.next_tick(latest)
    if latest >= oldest:
        return Plan(latest, _missed(task, tick, latest), following)
    return Plan(None, _missed(task, tick, None, until=latest), following)


def _not_beyond(moment: datetime, end: datetime | None) -> datetime:
    return moment if end is None else min(moment, end)


def _missed(
    task: CronDefinition, first: datetime, before: datetime | None, *, until: datetime | None = None
) -> Missed | None:
    """Return the ticks from `first` that are earlier than `before`, or not later than `until`."""
    if before is not None and first >= before:
        return None
    last, count, following = first, 0, first
    while count < MOST_COUNTED:
        last, count = following, count + 1
        tick = task.next_tick(last)
        if tick is None or (before is not None and tick >= before) or (until is not None and tick > until):
            return Missed(first, last, count)
        following = tick
    end = (before - timedelta(microseconds=1)) if before is not None else until
    assert end is not None
    return Missed(first, task.ticks.latest_until(_not_beyond(end, task.ends_at), after=last) or last, count)
