"""The embedded Redis of a supervisor, which its processes know by its URL."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import redis

from eventsys import EventService
from eventsys.runtime.server_link import ServerLink
from tests.runtime.users import process_of
from tests.support.supervised import Supervised
from tests.support.waiting import eventually


def test_without_a_configured_redis_the_embedded_one_runs_as_long_as_the_supervisor(
    supervise_application: Callable[..., Supervised], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "told")
    tell = """
import os
from eventsys import EventService

events = EventService(app="shop")
with open("told", "w") as told:
    told.write(os.environ["EVENTSYS_REDIS_URL"])
"""
    supervised = supervise_application(1, tell, url=None)
    url = (tmp_path / "told").read_text()
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    assert supervised.end() == 0
    assert not Path(url.removeprefix("unix://")).exists()


def test_a_supervisor_starts_a_killed_server_again_and_its_processes_work_on(
    supervise_application: Callable[..., Supervised], redis_url: str, tmp_path: Path
) -> None:
    tell = f"""
import os, redis
from eventsys import Event, EventService

client = redis.Redis.from_url({redis_url!r}, socket_timeout=None)
events = EventService(app="shop")

@events.on("who", name="who")
def who(event: Event) -> None:
    client.rpush("answers", os.getpid())
"""
    supervised = supervise_application(1, tell, url=None)
    socket = tmp_path / ".eventsys" / "redis.sock"
    eventually(socket.exists)
    events = EventService(redis_url=f"unix://{socket}", app="shop", announce=False)
    events.wait(events.publish_async("who").result("60s").id, timeout=60)
    worker = supervised.pid_from("answers")
    server, _ = ServerLink(socket).identify()
    with process_of(server) as process:
        os.kill(server, signal.SIGKILL)
        assert process.ends()
    events.publish_async("who").result("60s")
    assert supervised.pid_from("answers") == worker
    events.stop()
    assert supervised.end() == 0
    assert not socket.exists()
