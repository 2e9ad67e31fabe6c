"""Commands that see to ticks, several of them, killed at any moment: each tick takes effect once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import dramatiq
import pytest

from eventsys import EventFilter, EventService
from tests.acceptance.processes import Command, wait_for
from tests.conftest import FreshRedis

APP = "tests.acceptance.cron_app"
SCHEDULERS = {
    "periodiq": ["-c", "import periodiq; periodiq.entrypoint()", APP],
    "eventsys scheduler": ["-m", "eventsys", "scheduler", APP],
}
WORKER = ["-m", "eventsys", "worker", APP, "--processes", "2", "--threads", "2"]

Start = Callable[..., Command]


@pytest.fixture
def server(fresh_redis: Callable[[], FreshRedis]) -> FreshRedis:
    return fresh_redis()


@pytest.fixture
def events(server: FreshRedis) -> Iterator[EventService]:
    """An onlooker of the application's bus."""
    before = dramatiq.get_broker()
    service = EventService(redis_url=server.url)
    yield service
    service.stop()
    dramatiq.set_broker(before)


def ticks_of(events: EventService, event_type: str) -> list[str]:
    """Return the ticks that the events of a type were published for, in order."""
    found = []
    for page in range(1, 100):
        items = events.get_event_records(EventFilter(types=[event_type], page=page, page_size=500)).items
        found += [one.headers["cron-tick"] for one in items if one.headers.get("cron-task") == "app.tick"]
        if len(items) < 500:
            break
    return sorted(found)


def runs_of_tidy(events: EventService) -> list[str]:
    records = events.get_event_records(EventFilter(types=["cron.task.executed"], page_size=500)).items
    return [one.payload["scheduled_for"] for one in records if one.payload["task"] == "app.tidy"]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_two_schedulers_send_each_tick_once(name: str, events: EventService, server: FreshRedis, start: Start) -> None:
    """Ours, and periodiq's own command, which sends the tick of the minute in which it starts."""
    commands = [start(*SCHEDULERS[name], EVENTSYS_REDIS_URL=server.url, TZ="UTC") for _ in range(2)]
    wait_for(lambda: bool(runs_of_tidy(events)), "a tick")
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    for command in commands:
        command.process.send_signal(signal.SIGINT)
        command.finish()
    ticks = Counter(runs_of_tidy(events))
    assert set(ticks.values()) == {1}
    assert len(ticks) <= 2
    assert min(abs((datetime.fromisoformat(tick) - minute).total_seconds()) for tick in ticks) <= 60


def test_a_scheduler_outlasts_its_redis_and_ends_in_order(
    events: EventService, server: FreshRedis, start: Start
) -> None:
    scheduler = start(*SCHEDULERS["eventsys scheduler"], EVENTSYS_REDIS_URL=server.url)
    wait_for(lambda: bool(runs_of_tidy(events)), "a tick")
    server.kill()
    time.sleep(0.5)
    assert scheduler.process.poll() is None
    server.start()
    scheduler.process.send_signal(signal.SIGTERM)
    code, _, stderr = scheduler.finish()
    assert code == 0, stderr
    assert scheduler.left_processes() == []


def test_a_scheduler_starts_while_redis_is_away(server: FreshRedis, events: EventService, start: Start) -> None:
    server.kill()
    scheduler = start(*SCHEDULERS["eventsys scheduler"], EVENTSYS_REDIS_URL=server.url)
    assert scheduler.process.stderr is not None
    told = next(line for line in scheduler.process.stderr if "WARNING" in line)
    assert "wait for Redis" in told or "not declared yet" in told
    server.start()
    wait_for(lambda: bool(runs_of_tidy(events)), "a tick")
    assert scheduler.process.poll() is None


def test_a_scheduler_of_nothing_says_so(start: Start) -> None:
    code, _, stderr = start("-m", "eventsys", "scheduler", "no_such_module").finish()
    assert code == 2
    assert "there is no module 'no_such_module'" in stderr


def kill_one(worker: Command, chance: random.Random) -> None:
    """End one of a command's worker processes by SIGKILL."""
    children = [pid for pid in worker.left_processes() if pid != worker.process.pid and _is_worker(pid)]
    if children:
        os.kill(chance.choice(children), signal.SIGKILL)


def _is_worker(pid: int) -> bool:
    try:
        return b"worker_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_no_tick_is_lost_or_doubled_while_processes_are_killed(
    events: EventService, server: FreshRedis, start: Start
) -> None:
    """Two workers of two processes, of which one or both commands are killed again and again, and Redis once."""
    chance = random.Random(20_261_125)
    workers = [start(*WORKER, EVENTSYS_REDIS_URL=server.url) for _ in range(2)]
    wait_for(lambda: len(ticks_of(events, "cron.run.app.tick")) > 1, "the first ticks")
    for blow in range(25):
        time.sleep(chance.uniform(0.1, 0.9))
        kill_one(workers[blow % 2], chance)
        if blow == 12:
            server.kill()
            server.start()
    ended = datetime.now(UTC)
    wait_for(
        lambda: datetime.fromisoformat(max(ticks_of(events, "cron.run.app.tick"))) >= ended.replace(microsecond=0),
        "the last tick",
    )
    ticks = ticks_of(events, "cron.run.app.tick")
    executed = [
        one.payload["scheduled_for"]
        for page in (1, 2)
        for one in events.get_event_records(EventFilter(types=["cron.task.executed"], page=page, page_size=500)).items
    ]
    first, last = (datetime.fromisoformat(tick) for tick in (ticks[0], ticks[-1]))
    seconds = int((last - first).total_seconds()) + 1
    doubled = [tick for tick, count in Counter(ticks).items() if count > 1]
    print(
        f"25 SIGKILLs of workers, one of Redis; {seconds} ticks due, {len(ticks)} runs,"
        f" {seconds - len(set(ticks))} lost, {len(doubled)} doubled"
    )
    assert not doubled
    assert len(ticks) == seconds
    assert {datetime.fromisoformat(one) for one in executed} >= {datetime.fromisoformat(one) for one in ticks}
    assert len(executed) == len(set(executed))


def test_a_scheduler_killed_again_and_again_sends_each_tick_once(
    events: EventService, server: FreshRedis, start: Start
) -> None:
    """Each new one looks at the minute it starts in: most of them after the tick was sent, some before."""
    wait_for(lambda: 2 <= time.time() % 60 <= 50, "the middle of a minute")
    chance = random.Random(7)
    for _ in range(6):
        scheduler = start(*SCHEDULERS["eventsys scheduler"], EVENTSYS_REDIS_URL=server.url)
        time.sleep(chance.uniform(0.2, 1.5))
        scheduler.process.kill()
        scheduler.process.wait()
    last = start(*SCHEDULERS["eventsys scheduler"], EVENTSYS_REDIS_URL=server.url)
    wait_for(lambda: bool(runs_of_tidy(events)), "a tick")
    last.process.send_signal(signal.SIGTERM)  # else it might send the next one while they are counted
    last.finish()
    ticks = Counter(runs_of_tidy(events))
    assert set(ticks.values()) == {1}
    messages = events.broker.link.call("XLEN", events.broker.keys.lane("plain", 5))
    assert messages == len(ticks)
