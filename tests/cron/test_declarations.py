"""What code declares is declared again only when it changed, and tasks that nobody looks after are noticed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from eventsys import CronTaskError, Event, EventService, SubscriptionError
from eventsys.model.event_types import check_event_type
from eventsys.scheduling.cron_declarations import run_type_of
from tests.cron.rig import Rig, published, told
from tests.support.services import Services
from tests.support.waiting import eventually


def deploy(service: EventService, schedule: str, ran: list[str] | None = None) -> Any:
    @service.cron(schedule, name="app.nightly", max_retries=1)
    def nightly() -> None:
        if ran is not None:
            ran.append(schedule)

    service.cron.prepare()
    return nightly


def test_a_decorated_function_runs_by_its_schedule(rig: Rig) -> None:
    ran: list[str] = []
    assert callable(deploy(rig.events, "*/10 * * * *", ran))
    rig.events.bus.prepare()
    rig.advance(minutes=30)
    assert ran == ["*/10 * * * *"] * 3
    task = rig.events.cron.get("app.nightly")
    assert (task.is_declared, task.event_type) == (True, "cron.run.app.nightly")


def test_a_decorated_coroutine_function_gets_the_event_if_it_asks_for_it(events: EventService, quick_work: Any) -> None:
    seen: list[str] = []

    @events.cron("* * * * * *", name="often")
    async def often(event: Event) -> None:
        seen.append(event.headers["cron-task"])
        events.cron.pause("often")

    quick_work()
    eventually(lambda: seen)
    assert seen[0] == "often"


def test_two_functions_of_one_name_are_both_shown(events: EventService) -> None:
    here = r"one in .*test_declarations\.py:\d+"
    events.cron("@daily", name="twice")(lambda: None)
    with pytest.raises(SubscriptionError, match=f"{here}, {here}"):
        events.cron("@hourly", name="twice")(lambda: None)


def test_a_declaration_is_applied_again_only_when_it_changed(rig: Rig, services: Services) -> None:
    def process() -> EventService:
        return services.make(name=rig.events.settings.name)

    deploy(process(), "0 * * * *")
    rig.events.cron.update("app.nightly", schedule="30 * * * *")
    deploy(process(), "0 * * * *")
    assert rig.events.cron.get("app.nightly").schedule == "30 * * * *"
    deploy(process(), "15 * * * *")
    assert rig.events.cron.get("app.nightly").schedule == "15 * * * *"
    assert len(told(rig.events, "updated")) == 2


def test_a_task_that_nobody_declares_for_an_hour_is_paused_with_a_warning_until_it_is_declared(
    rig: Rig, services: Services
) -> None:
    events, real_ms = rig.events, rig.events.broker.clock.real_ms()
    deploy(services.make(name=events.settings.name), "0 * * * *")
    clock: Any = events.broker.clock
    declarations = events.cron._declarations
    clock.real_ms = lambda: real_ms + 59 * 60_000
    assert declarations.pause_undeclared(rig.now_ms) == 0
    clock.real_ms = lambda: real_ms + 61 * 60_000
    assert declarations.pause_undeclared(rig.now_ms) == 1
    assert declarations.pause_undeclared(rig.now_ms) == 0
    task = events.cron.get("app.nightly")
    assert (str(task.state), task.reason) == ("paused", "no process has declared it for an hour")
    assert events.bus.system.flush(60)
    [trouble] = events.bus.system.troubles()
    assert "cron task 'app.nightly' is paused" in trouble.message
    deploy(services.make(name=events.settings.name), "0 * * * *")
    assert str(events.cron.get("app.nightly").state) == "active"


def test_a_deleted_task_is_forgotten_when_no_process_declares_it_any_more(rig: Rig, services: Services) -> None:
    events, real_ms = rig.events, rig.events.broker.clock.real_ms()
    process = services.make(name=events.settings.name)
    deploy(process, "0 * * * *")
    events.cron.delete("app.nightly")
    process.cron._declarations._said_ms = 0  # as five minutes later
    process.cron._declarations.make_round()
    said = events.broker.keys.cron_declared
    assert events.broker.link.call("HKEYS", said) == [b"app.nightly"]
    clock: Any = events.broker.clock
    clock.real_ms = lambda: real_ms + 59 * 60_000
    events.cron._declarations.pause_undeclared(rig.now_ms)
    assert events.broker.link.call("HKEYS", said) == [b"app.nightly"]
    clock.real_ms = lambda: real_ms + 90 * 60_000
    assert events.cron._declarations.pause_undeclared(rig.now_ms) == 0
    assert events.broker.link.call("HKEYS", said) == []


def test_what_was_made_by_create_needs_no_process_that_declares_it(rig: Rig) -> None:
    rig.events.cron.create("reports", "0 * * * *", "report.due")
    clock: Any = rig.events.broker.clock
    real_ms = clock.real_ms()
    clock.real_ms = lambda: real_ms + 10 * 3_600_000
    assert rig.events.cron._declarations.pause_undeclared(rig.now_ms) == 0


def test_a_task_that_lost_its_tick_gets_it_back_and_runs_it_once(rig: Rig) -> None:
    events, declarations = rig.events, rig.events.cron._declarations
    events.cron.create("reports", "* * * * *", "report.due")
    assert declarations.mend_ticks(rig.now_ms) == 0
    events.broker.flush("eventsys.cron")
    assert events.broker.link.call("ZCARD", events.broker.keys.delayed_due) == 0
    assert declarations.mend_ticks(rig.now_ms) == 1
    rig.advance(minutes=2)
    assert len(published(events, "report.due")) == 2


def test_a_tick_on_its_way_is_not_mended_and_one_that_was_mended_too_early_counts_once(rig: Rig) -> None:
    events, declarations = rig.events, rig.events.cron._declarations
    events.cron.create("reports", "*/10 * * * *", "report.due")
    rig.now_ms += 600_000
    rig._poller.let_go(rig.now_ms)  # its message waits on the queue, and no worker comes
    assert declarations.mend_ticks(rig.now_ms) == 0
    rig.now_ms += 61_000
    assert declarations.mend_ticks(rig.now_ms) == 1
    rig.advance(seconds=1)
    assert len(published(events, "report.due")) == 1


def test_a_task_that_gets_its_next_tick_while_it_is_looked_at_has_lost_none(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, declarations = rig.events.cron._tasks, rig.events.cron._declarations
    rig.events.cron.create("reports", "*/10 * * * *", "report.due")
    rig.now_ms += 600_000
    rig._poller.let_go(rig.now_ms)
    read = tasks.readable

    def read_later(names: list[str]) -> Any:
        rig.work()
        return read(names)

    monkeypatch.setattr(tasks, "readable", read_later)
    assert declarations.mend_ticks(rig.now_ms) == 0
    assert len(published(rig.events, "report.due")) == 1


def test_a_task_whose_tick_falls_due_while_it_is_looked_at_has_lost_none(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, declarations = rig.events.cron._tasks, rig.events.cron._declarations
    rig.events.cron.create("reports", "*/10 * * * *", "report.due")
    names = tasks.names

    def names_later() -> list[str]:
        rig.now_ms += 600_000
        rig._poller.let_go(rig.now_ms)
        return names()

    monkeypatch.setattr(tasks, "names", names_later)
    assert declarations.mend_ticks(rig.now_ms) == 0


def test_a_task_whose_end_has_passed_is_declared_as_ended_and_the_others_run(rig: Rig) -> None:
    """It stands in the code for ever, and Redis may be a new one."""
    ran: list[str] = []
    rig.events.cron("0 9 * * *", name="advent", ends_at=rig.now - timedelta(days=1))(lambda: ran.append("advent"))
    deploy(rig.events, "*/10 * * * *", ran)
    rig.advance(minutes=10)
    assert ran == ["*/10 * * * *"]
    task = rig.events.cron.get("advent")
    assert (task.state, task.reason, task.next_tick_at) == ("ended", "its last tick has come", None)


@pytest.fixture
def unreadable(rig: Rig) -> str:
    """The row of a task that code declares and that a newer eventsys has written, in front of another one."""
    rig.events.cron.create("advent", "0 9 * * *", "cron.run.advent")
    key = rig.events.broker.keys.cron_task("advent")
    definition = rig.events.broker.link.call("HGET", key, "definition").decode()
    rig.events.broker.link.call("HSET", key, "definition", f'{definition[:-1]},"format":2}}')
    rig.events.cron("0 9 * * *", name="advent")(lambda: None)
    return key


def test_a_task_that_cannot_be_declared_keeps_no_other_one_from_that(
    rig: Rig, unreadable: str, caplog: pytest.LogCaptureFixture
) -> None:
    deploy(rig.events, "0 * * * *")
    rig.events.cron.prepare()
    assert str(rig.events.cron.get("app.nightly").state) == "active"
    assert caplog.text.count("cron task advent is not declared: a cron task is stored in format 2") == 1
    rig.events.broker.link.call("DEL", unreadable)
    rig.events.cron.prepare()
    assert rig.events.cron.get("advent").is_declared


def test_a_task_that_cannot_be_read_keeps_no_other_one_from_being_looked_after(rig: Rig, unreadable: str) -> None:
    events, declarations = rig.events, rig.events.cron._declarations
    deploy(events, "* * * * *")
    events.broker.flush("eventsys.cron")
    assert declarations.mend_ticks(rig.now_ms) == 1
    clock: Any = events.broker.clock
    real_ms = clock.real_ms()
    clock.real_ms = lambda: real_ms + 2 * 3_600_000
    assert declarations.pause_undeclared(rig.now_ms) == 1
    events.cron.prepare()
    assert str(events.cron.get("app.nightly").state) == "active"


def test_a_task_that_cannot_be_read_is_there_again_after_what_its_error_says(rig: Rig, services: Services) -> None:
    ran: list[str] = []
    deploy(rig.events, "*/10 * * * *", ran)
    link, row = rig.events.broker.link, rig.events.broker.keys.cron_task("app.nightly")
    link.call("HSET", row, "revision", "many")
    for ask in (rig.events.cron.get, rig.events.cron.pause, rig.events.cron.delete):
        with pytest.raises(CronTaskError, match=f"'app.nightly' cannot be read: .* redis-cli DEL {row}, and declare"):
            ask("app.nightly")
    link.call("DEL", row)
    started_again = services.make(name=rig.events.settings.name)
    clock: Any = started_again.broker.clock
    clock.now_ms = lambda: rig.now_ms
    deploy(started_again, "*/10 * * * *")
    rig.events.bus.prepare()
    rig.advance(minutes=20)
    assert ran == ["*/10 * * * *"] * 2


@pytest.mark.parametrize(
    ("name", "event_type"),
    [("app.nightly", "cron.run.app.nightly"), ("App.Nightly", "cron.run.app.nightly-"), ("ä" * 90, "cron.run.-")],
)
def test_any_name_has_an_event_type(name: str, event_type: str) -> None:
    assert check_event_type(run_type_of(name)).startswith(event_type)
