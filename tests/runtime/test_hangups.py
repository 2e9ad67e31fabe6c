"""Commands whose terminal is closed, or whose connection drops: SIGHUP ends them as SIGTERM does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from eventsys import EventService
from eventsys.runtime.stop_signals import stop_signals
from tests.support.supervised import Supervised, is_gone

APPLICATION = """
import os
import redis
from eventsys import Event, EventService

client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"], socket_timeout=None)
events = EventService(app="shop")

@events.on("wait", name="wait", timeout=None)
def wait(event: Event) -> None:
    client.rpush("waiting", os.getpid())
    client.blpop("go on", 60)
    client.rpush("waited", os.getpid())
"""

#: Says when it has service and signals, so that it is not hung up on before.
SCHEDULER = """
import os
from eventsys import EventService
events = EventService(app="shop")

import dramatiq
from periodiq import PeriodiqMiddleware, cron

@dramatiq.actor(periodic=cron("0 0 1 1 *"), broker=events.broker)
def tidy():
    pass

os.write(1, b"loaded\\n")
"""


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis) -> Iterator[EventService]:
    service = EventService(redis_url=redis_url, app="shop")
    yield service
    service.stop()


@pytest.fixture
def hangs_up() -> Iterator[None]:
    """Leave this process as it was, whatever a test says about SIGHUP."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_supervisor_that_is_hung_up_on_lets_running_handlers_end(
    supervise_application: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    supervised = supervise_application(1, APPLICATION)
    waiting = events.publish("wait")
    pid = supervised.pid_from("waiting")
    supervised.process.send_signal(signal.SIGHUP)
    supervised.process.send_signal(signal.SIGHUP)  # by the shell, and by the system
    redis_client.rpush("go on", 1)
    assert supervised.pid_from("waited") == pid
    assert supervised.process.wait(120) == 0
    assert is_gone(pid)
    assert [one.attempts for one in events.get_event(waiting.id).deliveries] == [1]


def test_a_worker_process_that_is_hung_up_on_itself_ends_its_handler_and_is_replaced(
    supervise_application: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    """As by whoever signals every process of a group."""
    supervised = supervise_application(1, APPLICATION)
    waiting = events.publish("wait")
    pid = supervised.pid_from("waiting")
    os.kill(pid, signal.SIGHUP)
    redis_client.rpush("go on", 1)
    assert supervised.pid_from("waited") == pid
    assert is_gone(pid)
    assert [one.attempts for one in events.wait(waiting.id, "60s").deliveries] == [1]
    assert supervised.end() == 0


def test_a_scheduler_that_is_hung_up_on_ends_in_order(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SCHEDULER)
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd()), "EVENTSYS_REDIS_URL": redis_url}
    command = [sys.executable, "-m", "eventsys", "scheduler", "shop"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE) as scheduler:
        try:
            assert scheduler.stdout is not None
            assert scheduler.stdout.readline() == b"loaded\n"
            scheduler.send_signal(signal.SIGHUP)
            assert scheduler.wait(60) == 0
        finally:
            scheduler.kill()


@pytest.mark.usefixtures("hangs_up")
def test_what_nohup_started_goes_on_when_it_is_hung_up_on() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert signal.SIGHUP in stop_signals()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert set(stop_signals()) == {signal.SIGTERM, signal.SIGINT}
