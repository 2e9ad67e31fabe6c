"""Who can write to Redis and has no key lets a cron task do what it is to do at its own ticks, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from eventsys.clock import to_ms
from eventsys.errors import BadSignatureError, CronTaskError
from eventsys.store.keys import CRON_QUEUE
from tests.cron.rig import Rig, published
from tests.support.entries import add_entry
from tests.support.fixtures import SEALED


@pytest.fixture
def sealing() -> dict[str, str]:
    return SEALED


@pytest.fixture
def task(rig: Rig) -> str:
    """A task due each minute; the name of its row."""
    rig.events.cron.create("t", "* * * * *", "a.b")
    return rig.events.broker.keys.cron_task("t")


def _call(rig: Rig, *command: Any) -> Any:
    return rig.events.broker.link.call(*command)


def _armed(rig: Rig, task: str) -> tuple[str, str]:
    """Return what the next tick is called, and its signed message, once that was let go; it stays on its lane."""
    rig._poller.let_go(to_ms(rig.events.cron.get("t").next_tick_at))
    [(_, fields)] = _call(rig, "XRANGE", rig.events.broker.keys.lane(CRON_QUEUE, 8), "-", "+")
    return _call(rig, "HGET", task, "armed").decode(), fields[1].decode()


def _send(rig: Rig, message: str) -> None:
    add_entry(rig.events.broker, rig.events.broker.keys.lane(CRON_QUEUE, 8), "m", message)
    rig.work()


def test_the_row_of_a_task_does_not_say_which_tick_a_message_is_for(rig: Rig, task: str) -> None:
    armed, message = _armed(rig, task)
    rig.advance(minutes=1)
    [event] = published(rig.events, "a.b")
    for after_ms in range(1, 5):
        _call(rig, "HSET", task, "armed", armed, "tick_ms", rig.now_ms + after_ms, "state", "active")
        _call(rig, "HDEL", task, "last_run")
        _send(rig, message)
    assert {one.id for one in published(rig.events, "a.b")} == {event.id}


def test_a_tick_that_is_let_go_before_its_time_waits_for_it_again(rig: Rig, task: str) -> None:
    """Each tick arms the next: else whoever lets them go could have all that are still to come."""
    for _ in range(3):
        _armed(rig, task)
        rig.work()
    assert published(rig.events, "a.b") == []
    rig.advance(minutes=2)
    ticks = [datetime(2026, 11, 25, 12, minute, tzinfo=UTC) for minute in (1, 2)]
    assert [event.headers["cron-tick"] for event in published(rig.events, "a.b")] == [one.isoformat() for one in ticks]


@pytest.mark.parametrize("state", ["paused", "ended"])
def test_a_task_that_is_not_active_has_no_tick_whatever_it_is_armed_with(rig: Rig, task: str, state: str) -> None:
    armed, message = _armed(rig, task)
    rig.events.cron.pause("t")
    rig.now_ms += 60_000
    _call(rig, "HSET", task, "armed", armed, "tick_ms", rig.now_ms, "state", state)
    _send(rig, message)
    assert published(rig.events, "a.b") == []


def test_a_tick_of_another_schedule_runs_nothing(rig: Rig, task: str) -> None:
    armed, message = _armed(rig, task)
    rig.events.cron.update("t", schedule="0 0 * * *")
    rig.now_ms += 30_000
    _call(rig, "HSET", task, "armed", armed)
    _send(rig, message)
    assert published(rig.events, "a.b") == []


def test_a_lost_tick_that_is_none_of_the_schedule_is_not_armed_again(rig: Rig, task: str) -> None:
    rig.events.broker.flush(CRON_QUEUE)
    _call(rig, "HSET", task, "tick_ms", rig.now_ms + 7)
    assert rig.events.cron._declarations.mend_ticks(rig.now_ms) == 1
    rig.advance(minutes=1)
    [event] = published(rig.events, "a.b")
    assert event.headers["cron-tick"] == datetime(2026, 11, 25, 12, 1, tzinfo=UTC).isoformat()


def test_what_a_list_shows_of_a_task_is_no_definition_of_it(rig: Rig, task: str) -> None:
    """It would be one without payload, end or number of runs."""
    definition, line = _call(rig, "HMGET", task, "definition", "line")
    _call(rig, "HSET", task, "definition", line, "line", definition)
    rig.advance(minutes=1)
    assert published(rig.events, "a.b") == []
    with pytest.raises(BadSignatureError, match="cron task is not what was signed"):
        rig.events.cron.get("t")
    assert rig.events.cron.lines().items == []


def test_what_was_signed_of_another_task_is_nothing_of_this_one(rig: Rig, task: str) -> None:
    rig.events.cron.create("other", "* * * * *", "c.d")
    _call(rig, "HSET", task, *_call(rig, "HGETALL", rig.events.broker.keys.cron_task("other")))
    with pytest.raises(CronTaskError, match="cron task 't' holds what was written for 'other'"):
        rig.events.cron.get("t")
    assert [one.name for one in rig.events.cron.lines().items] == ["other"]
    assert [one.name for one in rig.events.cron.list().items] == ["other"]
