"""A replay whose process is killed goes on in another one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eventsys import Event, EventService, ReplayState
from tests.support.histories import Historian
from tests.support.waiting import eventually


@pytest.mark.redis62
def test_a_replay_whose_process_is_killed_gives_each_event_once(events: EventService, redis_url: str) -> None:
    @events.on("a.b", name="h")
    def handler(event: Event) -> None:
        """Never run here: what was given is looked at in the queue."""

    historian = Historian(events)
    events.bus.prepare()
    now_ms = events.broker.clock.now_ms()
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "h").decode()
    for at in range(600):
        historian.store("a.b", now_ms - 60_000 + at)
    while historian.dispatch(now_ms, targets=[number, "h", "elsewhere", 0]):
        pass
    replay = events.replays.replay("h", rate=100)
    command = [sys.executable, "-m", "tests.support.replayer", redis_url, events.settings.name]
    with subprocess.Popen(command) as process:
        eventually(lambda: events.replays.get(replay.id).delivered > 100)  # so that the rest takes some seconds
        process.kill()
    assert events.replays.get(replay.id).state is ReplayState.RUNNING

    def is_over() -> bool:
        events.replays.step()
        return events.replays.get(replay.id).state is ReplayState.COMPLETED

    eventually(is_over)
    ended = events.replays.get(replay.id)
    assert (ended.delivered, ended.skipped, ended.scanned) == (600, 0, 600)
    queued = historian.link.call("XRANGE", historian.keys.lane("tests", 1), "-", "+")
    assert [fields[3].split(b'"')[3].decode() for _, fields in queued] == [f"e{n}" for n in range(1, 601)]
