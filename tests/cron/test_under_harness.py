"""Cron tasks under the harness: a month of ticks, retries and clock changes, in the test's own thread."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from eventsys import Event, EventService, Reject
from eventsys.testing import EventHarness
from tests.support.services import Services


def test_a_month_of_an_hourly_task_with_retries(events: EventService) -> None:
    tries: Counter[str] = Counter()

    @events.on("meter.due", name="meter.read", max_retries=2, retry_delay="20m")
    def read(event: Event) -> None:
        tick = event.headers["cron-tick"]
        tries[tick] += 1
        if tick.endswith("06:00:00+00:00") and tries[tick] < 3:
            raise RuntimeError("the meter sleeps")

    start = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    with EventHarness(events, start=start) as harness:
        events.cron.create("meter", "0 * * * *", "meter.due")
        harness.advance(days=30)
        delivered = harness.delivered("meter.read")
    assert len(delivered) == 30 * 24
    assert sum(tries.values()) == 30 * 24 + 2 * 30
    starts = [datetime.fromisoformat(one.event.headers["cron-tick"]) for one in delivered]
    assert sorted(starts) == [start + timedelta(minutes=30, hours=n) for n in range(30 * 24)]


def test_a_declared_function_runs_at_its_wall_clock_time_through_both_changes(events: EventService) -> None:
    zone, seen = ZoneInfo("Europe/Berlin"), []

    @events.cron("30 2 * * *", name="nightly", timezone="Europe/Berlin")
    async def nightly(event: Event) -> None:
        seen.append(datetime.fromisoformat(event.headers["cron-tick"]).astimezone(zone).strftime("%d.%m. %H:%M"))

    for start in (datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 23, 12, tzinfo=UTC)):
        with EventHarness(events, start=start) as harness:
            harness.advance(days=3)
    assert seen == ["28.03. 02:30", "29.03. 03:00", "30.03. 02:30", "24.10. 02:30", "25.10. 02:30", "26.10. 02:30"]


def test_a_worker_that_dies_in_a_run_leaves_one_run_completed(events: EventService) -> None:
    tries: list[int] = []

    with EventHarness(events, start=datetime(2026, 3, 1, 0, 30, tzinfo=UTC)) as harness:

        @events.cron("0 * * * *", name="hourly")
        def hourly() -> None:
            tries.append(1)
            if len(tries) == 1:
                harness.crash()

        harness.advance(hours=1)
        harness.advance(minutes=5)
        assert len(tries) == 2
        [run] = events.cron.history("hourly").items
        assert (str(run.outcome), run.scheduled_for) == ("completed", datetime(2026, 3, 1, 1, tzinfo=UTC))


def test_a_declared_function_that_fails_is_told_of_like_any_other_handler(services: Services) -> None:
    """An alert is a `system.*` event; attempts at what is told of a task are no feedback."""
    limits = {"failure_ratio": 0.5, "failure_attempts": 3, "dead_letters": None, "lateness": None, "no_worker": None}
    events = services.make(alerts=limits)
    watched: list[str] = []

    @events.cron("* * * * *", name="rotate", max_retries=0)
    def rotate() -> None:
        raise Reject("no disk")

    @events.on("system.warning", name="pager", max_retries=0)
    def page(event: Event) -> None:
        watched.append(event.payload["rule"])
        raise Reject("no network")

    with EventHarness(events, start=datetime(2026, 3, 1, tzinfo=UTC)) as harness:
        harness.advance(minutes=4)
        for _ in range(5):
            events.alerts.evaluate(events.broker.clock.now_ms())
            harness.run()
        keys = [one.key for one in events.alerts.active()]
    assert keys == ["failure_ratio:rotate"]
    assert watched.count("failure_ratio") == 1
