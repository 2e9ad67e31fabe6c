"""A tick that has come when its task is changed runs, or is in the history as one that was given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventsys import CronRun
from tests.cron.rig import Rig, hold_runs, published

HALF_PAST = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


def while_workers_are_down(rig: Rig, moment: datetime) -> None:
    """Let time pass in which nobody lets ticks go, nor looks at them."""
    rig.now_ms += int((moment - rig.now) / timedelta(milliseconds=1))


def ticks(rig: Rig) -> list[datetime | None]:
    return [run.scheduled_for for run in reversed(history(rig)) if str(run.outcome) == "completed"]


def history(rig: Rig) -> list[CronRun]:
    return list(rig.events.cron.history("reports").items)


@pytest.mark.parametrize(
    "changes",
    [{"jitter": "5s"}, {"max_runs": 9}, {"ends_at": HALF_PAST + timedelta(days=9)}, {"schedule": "30 12,14 * * *"}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_deploy_that_changes_the_time_of_a_task_runs_the_tick_that_is_due(rig: Rig, changes: dict[str, Any]) -> None:
    usual = {"name": "reports", "schedule": "30 12 * * *", "event_type": "report.due"}
    rig.events.cron.create(**usual)
    while_workers_are_down(rig, HALF_PAST + timedelta(minutes=4))
    rig.events.cron.create(**{**usual, **changes})
    rig.advance(minutes=1)
    assert ticks(rig) == [HALF_PAST]
    assert len(published(rig.events, "report.due")) == 1


def test_a_due_tick_that_is_too_late_is_missed_after_a_change_too(rig: Rig) -> None:
    rig.events.cron.create("reports", "30 12 * * *", "report.due")
    while_workers_are_down(rig, HALF_PAST + timedelta(minutes=11))
    rig.events.cron.update("reports", schedule="30 12,14 * * *")
    rig.advance(minutes=1)
    [run] = history(rig)
    assert (run.scheduled_for, str(run.outcome)) == (HALF_PAST, "missed")
    assert rig.events.cron.get("reports").next_tick_at == HALF_PAST + timedelta(hours=2)


@pytest.mark.parametrize("act", ["pause", "end", "other times"])
@pytest.mark.redis62
def test_a_due_tick_that_is_given_up_is_in_the_history(rig: Rig, act: str) -> None:
    cron = rig.events.cron
    cron.create("reports", "30 12 * * *", "report.due")
    while_workers_are_down(rig, HALF_PAST + timedelta(minutes=4))
    if act == "pause":
        cron.pause("reports")
    elif act == "end":
        cron.update("reports", schedule="0 9 * * *", ends_at=HALF_PAST.replace(hour=20))
    else:
        cron.update("reports", schedule="0 14 * * *")
    rig.advance(minutes=1)
    [run] = history(rig)
    assert (run.run_id, run.scheduled_for) == (str(int(HALF_PAST.timestamp() * 1000)), HALF_PAST)
    assert (str(run.outcome), run.error) == ("missed", "its task was paused, ended or changed before it ran")
    assert run.ended_at == HALF_PAST + timedelta(minutes=4)
    assert published(rig.events, "report.due") == []


def test_a_tick_that_is_taken_while_its_task_is_changed_runs_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change was computed when the tick was due still, so it is computed anew."""
    cron, tasks = rig.events.cron, rig.events.cron._tasks
    cron.create("reports", "* * * * *", "report.due")
    while_workers_are_down(rig, HALF_PAST.replace(minute=1))
    rig._poller.let_go(rig.now_ms)
    change = tasks.change

    def change_later(*given: Any, **named: Any) -> bool:
        monkeypatch.setattr(tasks, "change", change)
        rig.work()
        return change(*given, **named)

    monkeypatch.setattr(tasks, "change", change_later)
    assert cron.update("reports", max_runs=9).next_tick_at == HALF_PAST.replace(minute=2)
    rig.advance(seconds=1)
    assert len(published(rig.events, "report.due")) == 1
    assert [str(run.outcome) for run in history(rig)] == ["completed"]


def test_a_run_that_waits_is_kept_by_a_change_of_the_time(rig: Rig) -> None:
    began = hold_runs(rig, 2.5)
    rig.events.cron.create("reports", "* * * * *", "report.due", overlap="buffer_one")
    rig.advance(minutes=2)
    rig.events.cron.update("reports", schedule="30 12 * * *")
    rig.advance(minutes=5)
    assert [one.minute for one in began] == [1, 2]


def test_a_run_that_waits_is_given_up_by_a_pause_and_in_the_history(rig: Rig) -> None:
    began = hold_runs(rig, 2.5)
    rig.events.cron.create("reports", "* * * * *", "report.due", overlap="buffer_one")
    rig.advance(minutes=2)
    rig.events.cron.pause("reports")
    rig.advance(minutes=5)
    assert [one.minute for one in began] == [1]
    [missed] = [run for run in history(rig) if str(run.outcome) == "missed"]
    assert (missed.scheduled_for, missed.ended_at) == (HALF_PAST.replace(minute=2), rig.now - timedelta(minutes=5))


def test_a_tick_that_is_held_is_kept_by_a_change_of_the_time(rig: Rig) -> None:
    began = hold_runs(rig, 2.5)
    rig.events.cron.create("reports", "* * * * *", "report.due", catch_up_all=True)
    rig.advance(seconds=30)
    rig.jump(minutes=1.5)  # the tick of 12:02 is looked at half a minute late, while the run of 12:01 is on
    rig.events.cron.update("reports", jitter="1s")
    rig.advance(minutes=5)
    assert [one.minute for one in began][:2] == [1, 2]
