"""Reading and noting many things: so many in a round trip, however many there are."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import EventService
from eventsys.store.channel import Channel
from eventsys.store.cron_declared import DeclaredTasks

#: Commands in a round trip, and members in a command.
AT_ONCE = 200


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each pipeline has, and how many arguments each command."""
    found: list[int] = []
    pipeline, call = Channel.pipeline, Channel.call

    def note_commands(self: Channel, commands: Any, **options: Any) -> Any:
        found.append(len(commands))
        return pipeline(self, commands, **options)

    def note_arguments(self: Channel, *command: Any, **options: Any) -> Any:
        found.append(len(command))
        return call(self, *command, **options)

    monkeypatch.setattr(Channel, "pipeline", note_commands)
    monkeypatch.setattr(Channel, "call", note_arguments)
    return found


@pytest.mark.redis62
def test_many_cron_tasks_are_read_and_declared_in_parts(events: EventService, sizes: list[int]) -> None:
    names = [f"task-{number:03}" for number in range(2 * AT_ONCE + 50)]
    for name in names:
        events.cron.create(name, "0 0 1 1 *", "made.tidy")
    tasks, asked = events.cron._tasks, ["none", *names]
    sizes.clear()
    assert [row.task.name for row in tasks.readable(asked)] == names
    assert [row.task.name for row in tasks.read(asked)] == names
    assert sizes == 2 * [AT_ONCE, AT_ONCE, 51]
    sizes.clear()
    declared = DeclaredTasks(events.broker.link, events.broker.keys)
    declared.say(names, 7)
    assert sizes == [2 + 2 * AT_ONCE, 2 + 2 * AT_ONCE, 2 + 2 * 50]
    assert declared.said() == dict.fromkeys(names, 7)
    sizes.clear()
    declared.forget(names[1:])
    assert sizes == [2 + AT_ONCE, 2 + AT_ONCE, 2 + 49]
    assert declared.said() == {names[0]: 7}


def test_of_nothing_nothing_is_asked(events: EventService, sizes: list[int]) -> None:
    events.bus.prepare()
    sizes.clear()
    assert events.cron._tasks.readable([]) == []
    declared = DeclaredTasks(events.broker.link, events.broker.keys)
    declared.say([], 7)
    declared.forget([])
    assert sizes == []
