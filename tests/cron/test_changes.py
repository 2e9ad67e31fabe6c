"""Cron tasks are changed at run time from any process; what code declares and what an operator edits get along."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest

from eventsys import CronTaskError, Event, EventService, InvalidScheduleError, NotFoundError
from eventsys.clock import from_ms
from eventsys.model.cron_task import TaskLine
from tests.cron.rig import Rig, published, told
from tests.support.proxy import CuttingProxy
from tests.support.services import Services


@pytest.fixture
def other(rig: Rig, services: Services) -> EventService:
    """A second process on the same bus, with the same time."""
    service = services.make(name=rig.events.settings.name)
    clock: Any = service.broker.clock
    clock.now_ms = lambda: rig.now_ms
    return service


def test_a_task_made_in_one_process_is_changed_in_another_and_runs_as_changed(rig: Rig, other: EventService) -> None:
    other.cron.create("reports", "0 * * * *", "report.due", {"kind": "long"})
    rig.events.cron.update("reports", schedule="*/10 * * * *", payload={"kind": "short"})
    rig.advance(minutes=20)
    assert [event.payload for event in published(other, "report.due")] == [{"kind": "short"}, {"kind": "short"}]
    assert [task.name for task in other.cron.list().items] == ["reports"]
    other.cron.delete("reports")
    rig.advance(hours=1)
    assert len(published(other, "report.due")) == 2
    with pytest.raises(NotFoundError, match="there is no cron task 'reports'"):
        rig.events.cron.get("reports")


@pytest.mark.redis62
def test_each_change_is_told_of_once(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "0 * * * *", "report.due")
    cron.create("reports", "0 * * * *", "report.due")
    cron.update("reports", overlap="allow")
    cron.pause("reports")
    cron.pause("reports")
    cron.resume("reports")
    cron.resume("reports")
    cron.delete("reports")
    assert [(verb, payload["paused"]) for verb, payload in told(rig.events)] == [
        ("created", False), ("updated", False), ("updated", True), ("updated", False), ("deleted", False),
    ]  # fmt: skip
    assert told(rig.events)[0][1] == {
        "task": "reports", "schedule": "0 * * * *", "timezone": "UTC", "event_type": "report.due", "actor": None,
        "paused": False,
    }  # fmt: skip


def test_changes_made_at_the_same_moment_are_all_made(rig: Rig, other: EventService) -> None:
    rig.events.cron.create("reports", "0 * * * *", "report.due")
    services = [rig.events, other]

    def add(number: int) -> None:
        service = services[number % 2]
        if number % 4 < 2:
            service.cron.update("reports", payload={"number": number})
        else:
            service.cron.update("reports", jitter=f"{number}s")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    task = rig.events.cron.get("reports")
    assert task.revision == 41
    assert len(told(rig.events, "updated")) == 40
    rig.advance(hours=2)
    assert len(published(rig.events, "report.due")) == 2


def test_a_change_whose_reply_was_lost_is_made_once(redis_url: str, services: Services) -> None:
    proxy = CuttingProxy(redis_url)
    events = services.make(redis_url=proxy.url)
    events.broker.link.call("PING")
    for change in (
        lambda: events.cron.create("reports", "0 * * * *", "report.due"),
        lambda: events.cron.update("reports", payload={"kind": "short"}),
        lambda: events.cron.pause("reports"),
        lambda: events.cron.delete("reports"),
    ):
        proxy.lose_replies(1)
        change()
    assert proxy.lost == 4
    assert [verb for verb, _ in told(events)] == ["created", "updated", "updated", "deleted"]
    events.stop()
    proxy.close()


def test_an_edit_that_does_not_concern_the_time_keeps_the_next_tick(rig: Rig) -> None:
    cron = rig.events.cron
    before = cron.create("reports", "*/10 * * * *", "report.due", jitter="5m")
    assert cron.update("reports", overlap="allow").next_run_at == before.next_run_at
    assert cron.update("reports", schedule="*/20 * * * *").next_tick_at == datetime(2026, 11, 25, 12, 20, tzinfo=UTC)


def test_a_paused_task_has_no_ticks_and_does_not_catch_up(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "* * * * *", "report.due")
    paused = cron.pause("reports", reason="audit")
    assert (str(paused.state), paused.reason, paused.next_run_at) == ("paused", "audit", None)
    rig.advance(minutes=5)
    assert str(cron.update("reports", payload={"a": 1}, schedule="*/2 * * * *").state) == "paused"
    rig.advance(minutes=5)
    assert cron.resume("reports").next_run_at == datetime(2026, 11, 25, 12, 12, tzinfo=UTC)
    rig.advance(minutes=2)
    assert len(published(rig.events, "report.due")) == 1


def test_an_ended_task_goes_on_when_its_end_is_moved(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("twice", "* * * * *", "report.due", max_runs=2)
    rig.advance(minutes=5)
    assert str(cron.get("twice").state) == "ended"
    cron.update("twice", max_runs=3)
    rig.advance(minutes=5)
    assert (str(cron.get("twice").state), cron.get("twice").runs) == ("ended", 3)


def test_a_run_by_hand_begins_at_once_even_when_paused(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "0 0 1 1 *", "report.due", max_runs=1)
    cron.pause("reports")
    run = cron.run_now("reports")
    rig.advance(seconds=0)
    [event] = published(rig.events, "report.due")
    assert event.id == run.target_id
    [done] = cron.history("reports").items
    assert (done.run_id, done.manual, done.scheduled_for, str(done.outcome)) == (run.run_id, True, None, "completed")
    assert cron.get("reports").runs == 0
    assert [payload["manual"] for _, payload in told(rig.events, "executed")] == [True]


def test_a_run_may_be_asked_for_later(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "0 0 1 1 *", "report.due")
    at = rig.now + timedelta(minutes=3)
    assert cron.run_later("reports", at=at) == at
    assert cron.run_later("reports", delay="5m") == rig.now + timedelta(minutes=5)
    rig.advance(minutes=10)
    assert [event.time for event in published(rig.events, "report.due")] == [at, at + timedelta(minutes=2)]


def test_a_task_may_be_created_later(rig: Rig) -> None:
    due = rig.events.cron.create_later("reports", "* * * * *", "report.due", delay="10m")
    rig.advance(minutes=9)
    assert rig.events.cron.list().total == 0
    rig.advance(minutes=3)
    assert rig.events.cron.get("reports").created_at == due
    assert len(published(rig.events, "report.due")) == 2


def test_what_is_asked_for_later_is_never_early_and_at_most_ten_years_away(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "0 0 1 1 *", "report.due")
    at = rig.now + timedelta(minutes=3, microseconds=1)
    assert cron.run_later("reports", at=at) == rig.now + timedelta(minutes=3, milliseconds=1)
    for far in ({"delay": "3654d"}, {"at": datetime.max.replace(tzinfo=UTC)}):
        with pytest.raises(CronTaskError, match="ten years"):
            cron.run_later("reports", **far)
        with pytest.raises(CronTaskError, match="ten years"):
            cron.create_later("more", "* * * * *", "report.due", **far)


def test_what_a_handler_asks_for_later_is_kept_only_if_it_succeeds(rig: Rig) -> None:
    events = rig.events
    events.cron.create("reports", "0 0 1 1 *", "report.due")

    @events.on("order.placed", name="orders", max_retries=0)
    def order(event: Event) -> None:
        events.cron.run_later("reports", delay="1m")
        events.cron.create_later("more", "0 0 1 1 *", "report.due", delay="1m")
        if event.payload["fails"]:
            raise RuntimeError("no")

    events.publish("order.placed", {"fails": True})
    rig.advance(minutes=2)
    assert (len(published(events, "report.due")), events.cron.list().total) == (0, 1)
    events.publish("order.placed", {"fails": False})
    rig.advance(minutes=2)
    assert (len(published(events, "report.due")), events.cron.list().total) == (1, 2)


def test_a_repeated_create_changes_nothing_that_an_operator_edited_until_it_says_something_else(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "0 * * * *", "report.due")
    cron.update("reports", schedule="30 * * * *")
    cron.pause("reports")
    after_deploy = cron.create("reports", "0 * * * *", "report.due")
    assert (after_deploy.schedule, str(after_deploy.state)) == ("30 * * * *", "paused")
    after_edit = cron.create("reports", "15 * * * *", "report.due")
    assert (after_edit.schedule, str(after_edit.state)) == ("15 * * * *", "paused")


def test_a_line_of_a_task_is_what_the_task_says(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("a", "0 * * * *", "report.due", {"text": "long"}, timezone="Europe/Berlin", jitter="5s")
    cron.create("b", "@daily", actor="tidy", queue="tests")
    cron.update("b", schedule="@hourly")
    cron.pause("b")
    cron.create("c", "@daily", "report.due")
    page = cron.lines(page_size=2)
    assert (page.total, page.pages) == (3, 2)
    assert [one.name for one in cron.lines(page=2, page_size=2).items] == ["c"]
    tasks = [TaskLine.model_validate(task.model_dump(include=set(TaskLine.model_fields))) for task in cron.list().items]
    assert page.items == tasks[:2]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"schedule": "0 25 * * *"}, InvalidScheduleError, "the hour in '0 25 * * *' is '25'"),
        ({"timezone": "Berlin"}, InvalidScheduleError, "there is no time zone 'Berlin'"),
        ({"name": "two words"}, CronTaskError, "has whitespace"),
        ({"name": "x" * 91}, CronTaskError, "has 1 to 90 characters"),
        ({"event_type": None}, CronTaskError, "needs either event_type= or actor="),
        ({"actor": "tidy"}, CronTaskError, "needs either event_type= or actor=, and not both"),
        ({"event_type": "Report Due"}, CronTaskError, "event_type"),
        ({"source": "s" * 513}, CronTaskError, "source: String should have at most 512 characters"),
        ({"secret_fields": ["s" * 4_096, "t" * 4_096]}, CronTaskError, "secret_fields: 8,193 characters with commas"),
        ({"overlap": "queue"}, CronTaskError, "overlap: Input should be 'skip', 'buffer_one' or 'allow'"),
        ({"catch_up": "soon"}, CronTaskError, "catch_up"),
        ({"catch_up": "9999999d"}, CronTaskError, "catch_up: longer than ten years"),
        ({"jitter": "999999999d"}, CronTaskError, "jitter: longer than ten years"),
        ({"run_timeout": "3654d"}, CronTaskError, "run_timeout: longer than ten years"),
        ({"retry_delay": "3654d"}, CronTaskError, "retry_delay: longer than ten years"),
        ({"max_runs": 0}, CronTaskError, "max_runs"),
        ({"payload": {"x": float("nan")}}, CronTaskError, "payload"),
        ({"colour": "red"}, CronTaskError, "cron task 'reports' has no option 'colour'; there are actor, "),
        ({"catchup": "5m"}, CronTaskError, "has no option 'catchup'; did you mean 'catch_up'"),
        ({"run_timeout": 0}, CronTaskError, "run_timeout"),
        ({"ends_at": datetime(2026, 11, 25, 12, 30, tzinfo=UTC)}, CronTaskError, "would never be due"),
        ({"actor_args": [1]}, CronTaskError, "publishes 'report.due', and actor_args= is for an actor; leave it out"),
        ({"queue": "mails"}, CronTaskError, "queue= is for an actor"),
        (
            {"event_type": None, "actor": "tidy", "payload": {"n": 1}},
            CronTaskError,
            "sends a message to actor 'tidy', and payload= is for an event; leave it out, or give event_type= instead",
        ),
    ],
)
def test_a_task_that_cannot_be_is_refused(rig: Rig, given: dict[str, Any], error: type, says: str) -> None:
    usual: dict[str, Any] = {"name": "reports", "schedule": "0 * * * *", "event_type": "report.due"}
    with pytest.raises(error, match=says.replace("*", r"\*")):
        rig.events.cron.create(**{**usual, **given})
    assert rig.events.cron.list().total == 0


def test_a_task_is_given_no_end_that_is_past_and_keeps_one_that_it_had(rig: Rig) -> None:
    """A deploy declares the same end for ever, and must not fail once that has come."""
    cron, now = rig.events.cron, from_ms(rig.now_ms)
    past, soon = now - timedelta(days=1), now + timedelta(hours=2)
    cron.create("reports", "0 * * * *", "report.due", ends_at=soon)
    with pytest.raises(CronTaskError, match="cannot end in the past: ends_at=2026-11-24T"):
        cron.update("reports", ends_at=past)
    with pytest.raises(CronTaskError, match="give a later time, or pause or delete the task"):
        cron.create("reports", "0 * * * *", "report.due", ends_at=past)
    with pytest.raises(CronTaskError, match="would never be due"):
        cron.create_later("others", "0 * * * *", "report.due", ends_at=soon, delay="3h")
    assert (cron.get("reports").ends_at, cron.get("reports").state) == (soon, "active")
    rig.advance(hours=3)
    assert cron.create("reports", "0 * * * *", "report.due", {"n": 1}, ends_at=soon).payload == {"n": 1}
    assert cron.update("reports", ends_at=soon, payload={"n": 2}).state == "ended"


def test_a_change_that_means_nothing_for_what_a_task_does_is_refused(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "0 * * * *", "report.due")
    with pytest.raises(CronTaskError, match="actor_args= is for an actor"):
        cron.update("reports", actor_args=[1])
    cron.create("tidy", "0 * * * *", actor="tidy", actor_args=[1])
    with pytest.raises(CronTaskError, match="payload= is for an event"):
        cron.update("tidy", payload={"n": 1})
    assert cron.update("tidy", event_type="report.due", actor=None).event_type == "report.due"


def test_a_task_can_be_given_another_actor_and_sends_to_its_queue(rig: Rig) -> None:
    events, ran = rig.events, []
    mail = dramatiq.actor(lambda text: ran.append(text), actor_name="mail", queue_name="mails", broker=events.broker)
    events.cron.create("reports", "0 * * * *", "report.due")
    task = events.cron.update("reports", event_type=None, actor=mail, actor_args=("hello",))
    assert (task.actor, task.queue) == ("mail", "mails")
    events.cron.create("others", "0 * * * *", "report.due")
    assert events.cron.update("others", event_type=None, actor="mail").queue == "mails"
    elsewhere = events.cron.update("others", actor="elsewhere", queue="far")
    assert (elsewhere.actor, elsewhere.queue) == ("elsewhere", "far")
    assert events.cron.update("others", actor="elsewhere", priority=8).queue == "far"
    events.cron.delete("others")
    rig.advance(hours=1)
    assert ran == ["hello"]


@pytest.mark.parametrize("given", [{"event_type": "report.due"}, {"actor": "mail"}])
def test_what_a_task_hands_over_is_as_long_as_settings_allow(services: Services, given: dict[str, Any]) -> None:
    roomy = services.make(max_payload_bytes=2_000_000)
    usual = services.make(name=roomy.settings.name)
    field = "payload" if "event_type" in given else "actor_kwargs"
    roomy.cron.create("reports", "@daily", **given, **{field: {"text": "x" * 1_500_000}})
    for one, length in ((roomy, 2_000_000), (usual, 300_000)):
        with pytest.raises(CronTaskError, match=r"max_payload_bytes is [0-9,]+; store the bulk elsewhere"):
            one.cron.update("reports", **{field: {"text": "x" * length}})
        with pytest.raises(CronTaskError, match="cron task 'others' would hand over"):
            one.cron.create("others", "@daily", **given, **{field: {"text": "x" * length}})
        with pytest.raises(CronTaskError):
            one.cron.create_later("others", "@daily", delay="1h", **given, **{field: {"text": "x" * length}})
    assert usual.cron.update("reports", schedule="@hourly").schedule == "@hourly"
    assert len(getattr(usual.cron.get("reports"), field)["text"]) == 1_500_000
    assert usual.cron.update("reports", **{field: {"text": "x"}}).revision == 3


def test_an_update_that_cannot_be_changes_nothing(rig: Rig) -> None:
    rig.events.cron.create("reports", "0 * * * *", "report.due")
    with pytest.raises(CronTaskError):
        rig.events.cron.update("reports", overlap="queue")
    with pytest.raises(CronTaskError, match="keeps its name"):
        rig.events.cron.update("reports", name="others")
    assert rig.events.cron.get("reports").revision == 1


def test_a_task_of_an_actor_remembers_its_queue(rig: Rig) -> None:
    dramatiq.actor(lambda: None, broker=rig.events.broker, actor_name="tidy", queue_name="plain")
    assert rig.events.cron.create("tidying", "@daily", actor="tidy").queue == "plain"


def test_tasks_and_runs_come_in_pages(rig: Rig) -> None:
    for name in "cab":
        rig.events.cron.create(name, "* * * * *", "report.due")
    page = rig.events.cron.list(page=2, page_size=2)
    assert ([task.name for task in page.items], page.total, page.pages) == (["c"], 3, 2)
    rig.advance(minutes=5)
    runs = rig.events.cron.history("a", page=2, page_size=2)
    assert ([run.scheduled_for.minute for run in runs.items if run.scheduled_for], runs.total) == ([3, 2], 5)


def test_the_time_of_a_tick_is_shown_as_it_is_stored(rig: Rig) -> None:
    rig.events.cron.create("reports", "@hourly", "report.due", jitter="1m")
    task = rig.events.cron.get("reports")
    assert task.next_tick_at == datetime(2026, 11, 25, 13, tzinfo=UTC)
    [_, due_ms] = rig.events.broker.link.call("ZRANGE", rig.events.broker.keys.delayed_due, 0, 0, "WITHSCORES")
    assert task.next_run_at == from_ms(int(due_ms))
