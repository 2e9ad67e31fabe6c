"""A restored, emptied or failed-over Redis: living processes declare their cron tasks again, and undo no deploy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from eventsys import EventService, NotFoundError
from eventsys.scheduling.cron_changes import UNDECLARED, paused
from tests.support.restoring import backup_of, empty
from tests.support.services import Services

Deploy = Callable[[str], EventService]


@pytest.fixture
def deploy(services: Services) -> Deploy:
    """Start the next version of one application, a minute after the one before, with a schedule of its task."""
    made: list[EventService] = []

    def start(schedule: str) -> EventService:
        service = services.make(name=made[0].settings.name) if made else services.make()
        made.append(service)
        service.broker.work.by_hand = True
        service.broker.clock.turn_to(1_700_000_000_000 + 60_000 * len(made))
        service.cron(schedule, name="task")(lambda: None)
        service.on("a.b", name=f"version-{len(made)}")(lambda event: None)
        service.bus.prepare()
        service.bus.tending.look()
        service.cron.prepare()
        return service

    return start


def _see_the_loss(*services: EventService) -> None:
    for service in services:
        service.bus.tending.look()
        service.cron.prepare()


def _lose_a_handler(service: EventService, name: str = "newest") -> None:
    """Lose one change of the set and nothing else, as a failover does with the last second."""
    restore = backup_of(service)
    service.on("a.b", name=name)(lambda event: None)
    service.bus.prepare()
    service.bus.tending.look()
    restore()


def _after_minutes(service: EventService, minutes: int) -> None:
    """Let a process make the round in which it says what it declares still."""
    real_ms = service.broker.clock.real_ms() + 60_000 * minutes
    service.broker.clock.real_ms = lambda: real_ms  # type: ignore[method-assign]
    service.cron._declarations.make_round()


def test_a_worker_of_the_version_before_leaves_what_a_deploy_declared_meanwhile(deploy: Deploy) -> None:
    """It declared last, and its schedule stayed when it had ended."""
    former, new = deploy("0 1 * * *"), deploy("0 2 * * *")
    _lose_a_handler(new)
    _see_the_loss(new, former)
    assert new.cron.get("task").schedule == "0 2 * * *"
    _lose_a_handler(new, "newest-of-all")
    _see_the_loss(former)
    assert new.cron.get("task").schedule == "0 2 * * *"


@pytest.mark.parametrize("is_former_first", [True, False])
def test_the_newest_declaration_is_in_force_again_whoever_sees_the_loss_first(
    deploy: Deploy, is_former_first: bool
) -> None:
    oldest = deploy("0 0 * * *")
    restore = backup_of(oldest)
    former, new = deploy("0 1 * * *"), deploy("0 2 * * *")
    for lose in (restore, lambda: empty(oldest)):
        lose()
        _see_the_loss(*((former, new) if is_former_first else (new, former)))
        assert oldest.cron.get("task").schedule == "0 2 * * *"


def test_a_declaration_that_had_given_way_is_made_again_where_the_other_is_lost(deploy: Deploy) -> None:
    former = deploy("0 1 * * *")
    deploy("0 2 * * *")
    empty(former)
    _see_the_loss(former)
    assert former.cron.get("task").schedule == "0 1 * * *"


def test_a_version_that_was_gone_back_to_is_a_deploy_like_any_other(deploy: Deploy) -> None:
    first, second, back = deploy("0 1 * * *"), deploy("0 2 * * *"), deploy("0 1 * * *")
    _lose_a_handler(back)
    _see_the_loss(second, first, back)
    assert back.cron.get("task").schedule == "0 1 * * *"


def test_what_is_paused_and_declared_by_older_code_only_goes_on_as_it_is(deploy: Deploy) -> None:
    former, new = deploy("0 1 * * *"), deploy("0 2 * * *")
    new.cron._editor.edit("task", lambda row, now: row and paused(row, now, UNDECLARED))
    assert new.cron.get("task").state == "paused"
    _after_minutes(former, 6)
    task = new.cron.get("task")
    assert (task.state, task.schedule) == ("active", "0 2 * * *")


def test_a_task_that_was_deleted_long_before_stays_so(deploy: Deploy) -> None:
    events = deploy("0 1 * * *")
    _after_minutes(events, 6)
    events.cron.delete("task")
    for _ in range(2):
        _after_minutes(events, 6)
    _lose_a_handler(events)
    _see_the_loss(events)
    with pytest.raises(NotFoundError):
        events.cron.get("task")


def test_a_task_that_was_lost_just_before_a_round_is_declared_again(deploy: Deploy) -> None:
    """The round finds it missing before anybody has seen that data is lost."""
    events = deploy("0 1 * * *")
    _after_minutes(events, 6)
    empty(events)
    _after_minutes(events, 6)
    _see_the_loss(events)
    assert events.cron.get("task").schedule == "0 1 * * *"


def test_a_task_that_was_deleted_and_made_again_is_declared_again(deploy: Deploy) -> None:
    events = deploy("0 1 * * *")
    events.cron.delete("task")
    for _ in range(2):
        _after_minutes(events, 6)
    deploy("0 1 * * *")
    _after_minutes(events, 6)
    empty(events)
    _see_the_loss(events)
    assert events.cron.get("task").is_declared
