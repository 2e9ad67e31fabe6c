"""A tick that has come runs once, at its time, and what became of it is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dramatiq
import pytest

from eventsys import Event, EventService
from eventsys.clock import to_ms
from tests.cron.rig import Rig, hold_runs, published, told


def outcomes(events: EventService, name: str) -> list[str]:
    return [str(run.outcome) for run in reversed(events.cron.history(name, page_size=200).items)]


@pytest.mark.redis62
def test_a_due_task_publishes_its_event_at_each_tick(rig: Rig) -> None:
    events, ran = rig.events, []

    @events.on("report.due", name="reports")
    def report(event: Event) -> None:
        ran.append((rig.now, event.payload, event.source, event.headers["cron-tick"]))

    events.cron.create("reports", "*/5 * * * *", "report.due", {"kind": "short"}, source="office")
    rig.advance(minutes=12)
    ticks = [datetime(2026, 11, 25, 12, minute, tzinfo=UTC) for minute in (5, 10)]
    assert ran == [(tick, {"kind": "short"}, "office", tick.isoformat()) for tick in ticks]
    assert [(run.scheduled_for, str(run.outcome)) for run in events.cron.history("reports").items] == [
        (ticks[1], "completed"),
        (ticks[0], "completed"),
    ]
    assert [verb for verb, _ in told(events)] == ["created", "executed", "completed", "executed", "completed"]
    assert events.cron.get("reports").next_tick_at == datetime(2026, 11, 25, 12, 15, tzinfo=UTC)


def test_the_first_tick_finds_its_subscription_whatever_other_threads_have_done_by_then(rig: Rig) -> None:
    """The event of a run is no call of `publish`, which would declare what this process subscribed."""
    events, ran = rig.events, []
    events.broker.work.after_scan = lambda: None
    events.on("report.due", name="reports")(lambda event: ran.append(rig.now.minute))
    events.cron.create("reports", "* * * * *", "report.due")
    rig.advance(minutes=2)
    assert ran == [1, 2]


def test_seconds_are_kept(rig: Rig) -> None:
    rig.events.cron.create("often", "*/7 * * * * *", "tick")
    rig.advance(seconds=60)
    seconds = [event.time.second for event in published(rig.events, "tick")]
    assert seconds == [35, 42, 49, 56, 0, 7, 14, 21, 28]


def test_a_task_in_a_time_zone_runs_once_in_the_night_without_half_past_two(events: EventService) -> None:
    rig = Rig(events, datetime(2026, 3, 27, 12, tzinfo=UTC))
    events.cron.create("nightly", "30 2 * * *", "night", timezone="Europe/Berlin")
    rig.advance(days=3)
    zone = ZoneInfo("Europe/Berlin")
    assert [f"{event.time.astimezone(zone):%d %H:%M}" for event in published(events, "night")] == [
        "28 02:30", "29 03:00", "30 02:30",
    ]  # fmt: skip


def test_a_task_runs_once_in_the_night_with_two_half_past_twos(events: EventService) -> None:
    rig = Rig(events, datetime(2026, 10, 24, 12, tzinfo=UTC))
    events.cron.create("nightly", "0 30 2 * * *", "night", timezone="Europe/Berlin")
    rig.advance(days=2)
    assert [f"{event.time:%d %H:%M}" for event in published(events, "night")] == ["25 00:30", "26 01:30"]


def test_a_due_task_sends_its_actor(rig: Rig) -> None:
    events, ran = rig.events, []

    @dramatiq.actor(broker=events.broker, actor_name="tidy", queue_name="plain")
    def tidy(table: str, *, limit: int) -> None:
        ran.append((table, limit))

    events.cron.create("tidying", "@minutely", actor=tidy, actor_args=("rows",), actor_kwargs={"limit": 3})
    rig.advance(minutes=1)
    assert ran == [("rows", 3)]
    [run] = events.cron.history("tidying").items
    assert (str(run.outcome), run.ended_at) == ("completed", datetime(2026, 11, 25, 12, 1, tzinfo=UTC))
    assert [verb for verb, _ in told(events)] == ["created", "executed", "completed"]


def test_a_run_that_fails_is_tried_again_as_the_task_says_and_then_told_of(rig: Rig) -> None:
    events, tries = rig.events, []

    @events.on("report.due", name="reports", max_retries=7, retry_delay="1h")
    def report(event: Event) -> None:
        tries.append(rig.now.second)
        raise RuntimeError("no paper")

    events.cron.create("reports", "0 * * * *", "report.due", max_retries=2, retry_delay="10s")
    rig.advance(hours=1)
    assert tries == [0, 10, 20]
    [run] = events.cron.history("reports").items
    assert (str(run.outcome), run.error) == ("failed", "RuntimeError: no paper")
    assert [(verb, payload.get("error")) for verb, payload in told(events, "completed", "failed")] == [
        ("failed", "RuntimeError: no paper")
    ]


def test_an_actor_that_fails_is_tried_again_as_the_task_says(rig: Rig) -> None:
    events, tries = rig.events, []

    @dramatiq.actor(broker=events.broker, actor_name="tidy", queue_name="plain")
    def tidy() -> None:
        tries.append(rig.now)
        raise RuntimeError("no broom")

    events.cron.create("tidying", "0 * * * *", actor="tidy", max_retries=2, retry_delay="10s")
    rig.advance(hours=1)
    assert len(tries) == 3
    [run] = events.cron.history("tidying").items
    assert (str(run.outcome), run.error) == ("failed", "RuntimeError: no broom")
    assert [verb for verb, _ in told(events, "completed", "failed")] == ["failed"]


def test_an_event_that_can_no_longer_be_published_fails_its_run_and_not_the_task(rig: Rig) -> None:
    from tests.support.payloads import Order

    events = rig.events
    events.cron.create("orders", "* * * * *", "order.due", {"note": "no amount"})
    events.type("order.due", Order)
    rig.advance(minutes=2)
    assert outcomes(events, "orders") == ["failed", "failed"]
    assert [verb for verb, _ in told(events, "executed", "failed")] == ["failed", "failed"]
    assert "amount" in events.cron.history("orders").items[0].error


def minutes_of(ticks: list[datetime]) -> list[int]:
    return [tick.minute for tick in ticks]


def test_a_tick_is_skipped_while_an_earlier_run_is_on(rig: Rig) -> None:
    began = hold_runs(rig, 2.5)
    rig.events.cron.create("reports", "* * * * *", "report.due")
    rig.advance(minutes=7)
    assert minutes_of(began) == [1, 4, 7]
    assert outcomes(rig.events, "reports")[:6] == ["skipped", "skipped", "completed", "skipped", "skipped", "completed"]


def test_one_tick_waits_for_the_end_of_an_earlier_run(rig: Rig) -> None:
    began = hold_runs(rig, 2.5)
    rig.events.cron.create("reports", "* * * * *", "report.due", overlap="buffer_one")
    rig.advance(minutes=7)
    assert minutes_of(began) == [1, 2, 4]
    starts = [run.started_at for run in rig.events.cron.history("reports").items if run.started_at]
    assert sorted(starts) == [datetime(2026, 11, 25, 12, 1, tzinfo=UTC) + timedelta(minutes=2.5) * n for n in range(3)]
    assert outcomes(rig.events, "reports").count("skipped") == 3


def test_runs_may_overlap(rig: Rig) -> None:
    began = hold_runs(rig, 2.5)
    rig.events.cron.create("reports", "* * * * *", "report.due", overlap="allow")
    rig.advance(minutes=4)
    assert minutes_of(began) == [1, 2, 3, 4]
    assert [str(run.outcome) for run in rig.events.cron.history("reports").items].count("running") == 2


def test_of_several_missed_ticks_the_latest_runs(rig: Rig) -> None:
    rig.events.cron.create("reports", "* * * * *", "report.due")
    rig.jump(minutes=5)
    assert [event.headers["cron-tick"][14:16] for event in published(rig.events, "report.due")] == ["05"]
    missed, run = reversed(rig.events.cron.history("reports").items)
    assert (str(missed.outcome), missed.error) == ("missed", "4 ticks were missed, up to 2026-11-25 12:04:00 UTC")
    assert run.scheduled_for == datetime(2026, 11, 25, 12, 5, tzinfo=UTC)
    rig.advance(minutes=1)
    assert len(published(rig.events, "report.due")) == 2


def test_what_is_later_than_the_catch_up_window_is_missed(rig: Rig) -> None:
    rig.events.cron.create("hourly", "0 * * * *", "report.due")
    rig.jump(hours=3, minutes=10)
    assert published(rig.events, "report.due") == []
    assert outcomes(rig.events, "hourly") == ["missed"]
    rig.advance(hours=1)
    assert len(published(rig.events, "report.due")) == 1


def test_all_missed_ticks_run_one_after_another_when_asked(rig: Rig) -> None:
    began = hold_runs(rig, 0.25)
    rig.events.cron.create("reports", "* * * * *", "report.due", catch_up_all=True, catch_up="4m")
    rig.jump(minutes=6)
    rig.advance(minutes=1)
    assert minutes_of(began)[:4] == [3, 4, 5, 6]
    assert outcomes(rig.events, "reports")[:5] == ["missed", "completed", "completed", "completed", "completed"]


def test_a_late_tick_that_waits_too_leaves_the_run_that_waits_alone(rig: Rig) -> None:
    began = hold_runs(rig, 5)
    rig.events.cron.create("reports", "* * * * *", "report.due", overlap="buffer_one", catch_up_all=True)
    rig.advance(minutes=2)
    rig.jump(minutes=1.5)  # the tick of 12:03 is handled half a minute late, while the run of 12:02 waits
    assert rig.events.cron.get("reports").next_tick_at == datetime(2026, 11, 25, 12, 3, tzinfo=UTC)
    rig.advance(minutes=20)
    assert minutes_of(began)[:3] == [1, 2, 3]


def test_a_run_that_does_not_end_in_time_counts_as_failed(rig: Rig) -> None:
    hold_runs(rig, 180)
    rig.events.cron.create("reports", "0 * * * *", "report.due", run_timeout="30m")
    rig.advance(minutes=95)
    [run] = [one for one in rig.events.cron.history("reports").items if one.ended_at]
    assert run.error == "it did not end within 30m"
    assert run.ended_at == datetime(2026, 11, 25, 13, 30, tzinfo=UTC)


def test_a_task_ends_after_its_runs(rig: Rig) -> None:
    rig.events.cron.create("thrice", "* * * * *", "report.due", max_runs=3)
    rig.advance(minutes=10)
    assert len(published(rig.events, "report.due")) == 3
    task = rig.events.cron.get("thrice")
    assert (str(task.state), task.reason, task.next_tick_at, task.runs) == ("ended", "its 3 runs are done", None, 3)


def test_a_task_ends_with_its_last_tick_before_its_end(rig: Rig) -> None:
    end = datetime(2026, 11, 25, 12, 3, tzinfo=UTC)
    rig.events.cron.create("brief", "* * * * *", "report.due", ends_at=end)
    rig.advance(minutes=10)
    assert len(published(rig.events, "report.due")) == 3
    assert str(rig.events.cron.get("brief").state) == "ended"


def test_jitter_puts_ticks_off_and_never_beyond_its_bound(rig: Rig) -> None:
    rig.events.cron.create("spread", "*/10 * * * *", "report.due", jitter="5m")
    rig.advance(hours=3)
    events = published(rig.events, "report.due")
    late = [event.time - datetime.fromisoformat(event.headers["cron-tick"]) for event in events]
    assert len(late) in {17, 18}
    assert all(timedelta(0) <= one <= timedelta(minutes=5) for one in late)
    assert len(set(late)) > 10


def test_the_message_of_a_tick_handled_twice_runs_once(rig: Rig) -> None:
    """As after a worker that died before its commit: what it began is looked at again, and counts once."""
    events = rig.events
    events.cron.create("reports", "* * * * *", "report.due")
    [row] = events.cron._tasks.read(["reports"])
    from eventsys.scheduling.cron_runs import cron_message

    events.broker.add([cron_message("tick", "reports", row.armed, to_ms(row.task.next_tick_at))] * 3)
    rig.now_ms = to_ms(row.task.next_tick_at)
    rig.work()
    rig.advance(seconds=0)
    assert len(published(events, "report.due")) == 1
    assert outcomes(events, "reports") == ["completed"]


def test_a_tick_computed_before_a_change_is_computed_again(rig: Rig) -> None:
    """The row changes between the look at it and the commit: the tick is not lost, and runs as the task now says."""
    events, changed = rig.events, []
    drafted = events.bus.drafter.draft

    def draft(*given: Any, **fields: Any) -> Any:
        if fields.get("id", "").startswith("cron:") and not changed:
            changed.append(events.cron.update("reports", payload={"version": 2}))
        return drafted(*given, **fields)

    events.cron.create("reports", "* * * * *", "report.due", {"version": 1})
    events.bus.drafter.draft = draft
    rig.advance(minutes=1)
    assert [event.payload for event in published(events, "report.due")] == [{"version": 2}]


def test_a_tick_superseded_before_its_commit_does_nothing(rig: Rig) -> None:
    events, paused = rig.events, []
    drafted = events.bus.drafter.draft

    def draft(*given: Any, **fields: Any) -> Any:
        if fields.get("id", "").startswith("cron:") and not paused:
            paused.append(events.cron.pause("reports"))
        return drafted(*given, **fields)

    events.cron.create("reports", "* * * * *", "report.due")
    events.bus.drafter.draft = draft
    rig.advance(minutes=3)
    assert published(events, "report.due") == []
    assert told(events, "executed") == []


def test_an_actor_that_no_process_has_fails_its_run_when_it_is_given_up(rig: Rig) -> None:
    rig.events.broker.declare_queue("elsewhere")
    rig.events.cron.create("lost", "0 * * * *", actor="nobody", queue="elsewhere")
    rig.advance(minutes=80)
    [run] = rig.events.cron.history("lost").items
    assert (str(run.outcome), run.error[:13]) == ("failed", "ActorNotFound")


def test_a_run_by_hand_whose_reply_was_lost_is_one_run(rig: Rig) -> None:
    """The step is sent again, even after the run has ended."""
    from eventsys.scheduling.cron_runs import starting

    events = rig.events
    task = events.cron.create("reports", "0 * * * *", "report.due")
    run = starting(task, None, "by-hand-1", events.bus.drafter, rig.now_ms)
    step = ("cron_start", run)
    events.broker.add([step])
    rig.advance(seconds=1)
    events.broker.add([step])
    rig.advance(seconds=1)
    assert len(published(events, "report.due")) == 1
    assert len(events.cron.history("reports").items) == 1


@pytest.mark.parametrize("is_over", [True, False])
def test_a_run_by_hand_whose_reply_was_lost_is_one_run_though_another_began_since(rig: Rig, is_over: bool) -> None:
    from eventsys.scheduling.cron_runs import starting

    events, ran = rig.events, []
    dramatiq.actor(lambda: ran.append(rig.now), actor_name="tidy", broker=events.broker)
    task = events.cron.create("tidy", "0 * * * *", actor="tidy")
    step = ("cron_start", starting(task, None, "by-hand-1", events.bus.drafter, rig.now_ms))
    events.broker.add([step])
    if is_over:
        rig.advance(seconds=1)
    events.cron.run_now("tidy")
    events.broker.add([step])
    rig.advance(seconds=1)
    assert len(ran) == 2
    assert outcomes(events, "tidy") == ["completed"] * 2


def test_the_end_of_a_run_that_may_take_a_day_is_seen_at_once(rig: Rig) -> None:
    """The look at it waits for tomorrow, in whichever tier, and is brought forward."""
    rig.events.cron.create("reports", "0 * * * *", "report.due", run_timeout="24h")
    rig.advance(hours=1)
    assert outcomes(rig.events, "reports") == ["completed"]
