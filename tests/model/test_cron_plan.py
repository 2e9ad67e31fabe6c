"""What a tick that has come leads to: each tick until now runs, is missed, or comes next, and never two of these."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from eventsys.model.cron_plan import MOST_COUNTED, plan_tick
from eventsys.model.cron_task import CronDefinition
from tests.model.strategies import kept_durations

BASE = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the night after this one is an hour short in Berlin
SCHEDULES = ["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "*/20 * * * * *", "0 0,12 29 * *", "15 1-3 * * *"]

tasks = st.builds(
    lambda schedule, zone, catch_up, everything, jitter, end: CronDefinition.make(
        name="task", schedule=schedule, timezone=zone, event_type="due", catch_up=catch_up, catch_up_all=everything,
        jitter=jitter, ends_at=None if end is None else BASE + end,
    ),
    st.sampled_from(SCHEDULES),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    kept_durations(timedelta(hours=3)),
    st.booleans(),
    st.sampled_from([timedelta(0), timedelta(seconds=30), timedelta(hours=1)]),
    st.one_of(st.none(), st.timedeltas(timedelta(hours=20), timedelta(days=3))),
)  # fmt: skip


@settings(max_examples=2_000, deadline=None)
@given(
    tasks,
    st.timedeltas(timedelta(0), timedelta(hours=18)),
    st.one_of(
        st.timedeltas(timedelta(0), timedelta(seconds=2)),
        st.timedeltas(timedelta(0), timedelta(minutes=30)),
        st.timedeltas(timedelta(0), timedelta(hours=16)),
    ),
)
def test_each_tick_has_one_fate(task: CronDefinition, begins: timedelta, late: timedelta) -> None:
    tick = task.next_tick(BASE + begins)
    if tick is None:
        return
    now = tick + task.put_off(tick) + late
    plan = plan_tick(task, tick, now)
    reached = tick + late
    ticks = [tick]
    while len(ticks) < MOST_COUNTED and (following := task.next_tick(ticks[-1])) and following <= reached:
        ticks.append(following)
    if len(ticks) == MOST_COUNTED:
        return
    oldest = reached - max(task.catch_up, timedelta(seconds=1))
    fresh = [one for one in ticks if one >= oldest]
    run = (
        (fresh[0] if task.catch_up_all else fresh[-1]) if fresh and (task.catch_up_all or ticks[-1] >= oldest) else None
    )
    assert plan.run == run
    last = ticks[-1] if run is None or not task.catch_up_all else run
    assert plan.next == task.next_tick(last)
    missed = [one for one in ticks if one < run] if run is not None else ticks
    assert (plan.missed is None) == (not missed)
    if plan.missed is not None:
        assert plan.missed == (missed[0], missed[-1], len(missed))
    assert plan.is_late == (run is not None and plan.next is not None and plan.next <= reached)


@given(kept_durations(timedelta(hours=2)), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_jitter_is_the_same_in_every_process_and_within_its_bound(jitter: timedelta, tick: datetime) -> None:
    moment = tick.replace(microsecond=0, tzinfo=UTC)
    first, second = (
        CronDefinition.make(name="task", schedule="* * * * *", event_type="due", jitter=jitter) for _ in range(2)
    )
    assert first.put_off(moment) == second.put_off(moment)
    assert timedelta(0) <= first.put_off(moment) <= jitter


def test_a_task_that_catches_up_on_nothing_runs_a_moment_after_its_time() -> None:
    task = CronDefinition.make(name="task", schedule="* * * * *", event_type="due", catch_up=0)
    assert plan_tick(task, BASE, BASE + timedelta(milliseconds=5)).run == BASE
    assert plan_tick(task, BASE, BASE + timedelta(seconds=2)).run is None


def test_more_missed_ticks_than_are_counted_are_told_as_that_many() -> None:
    task = CronDefinition.make(name="task", schedule="* * * * * *", event_type="due")
    plan = plan_tick(task, BASE, BASE + timedelta(days=1))
    assert plan.run == BASE + timedelta(days=1)
    assert plan.missed == (BASE, BASE + timedelta(days=1, seconds=-1), MOST_COUNTED)
    plan = plan_tick(task, BASE, BASE + timedelta(days=1, milliseconds=500))
    assert plan.next == BASE + timedelta(days=1, seconds=1)
