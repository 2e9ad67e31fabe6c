"""Worker processes under their supervisor: real processes, which tell what they do over Redis."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from eventsys import EventService

APPLICATION = """
import asyncio, ctypes, os
import redis
from dramatiq import Middleware
from eventsys import Event, EventService

client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"], socket_timeout=None)

class Teller(Middleware):
    def before_worker_shutdown(self, broker, worker):
        client.rpush("stopping", os.getpid())

events = EventService(app="shop", middleware=[Teller()])
client.rpush("started", os.getpid())

@events.on("who", name="who")
def who(event: Event) -> None:
    client.rpush("answers", os.getpid())

@events.on("wait", name="wait", timeout=None)
def wait(event: Event) -> None:
    client.rpush("waiting", os.getpid())
    client.blpop("go on", 60)
    client.rpush("waited", os.getpid())

@events.on("hold", name="hold", timeout="100ms", max_retries=0)
def hold(event: Event) -> None:
    client.rpush("holding", os.getpid())
    ctypes.PyDLL(None).pause()

@events.on("cling", name="cling", timeout="100ms", max_retries=1, retry_delay=0)
async def cling(event: Event) -> None:
    client.rpush("clinging", os.getpid())
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
"""

#: Lets a handler count as stuck as soon as its limit is over.
NO_GRACE = """
from eventsys.broker import hard_limits, interrupts
hard_limits.GRACE_S = interrupts.GRACE_S = 0.1
"""

#: Supervises with the times of a test.
PROGRAM = """
import sys
from pathlib import Path
from eventsys.runtime import supervisor
supervisor.KILL_AFTER_S = 0.1
alive = Path("alive")
sys.exit(supervisor.supervise(["shop"], processes=int(sys.argv[1]), threads=2, liveness_file=alive))
"""


class Supervised:
    """A running supervisor, and what its processes say."""

    def __init__(self, process: subprocess.Popen[bytes], client: redis.Redis, errors: Path) -> None:
        self.process = process
        self._client = client
        self._errors = errors

    def pid_from(self, key: str) -> int:
        """Wait for a process to say something under `key`, and return which one did."""
        said = self._client.blpop([key], 60)
        assert said is not None, f"nobody said {key!r}: {self._errors.read_text()[-2000:]}"
        return int(said[1])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def errors(self) -> str:
        return self._errors.read_text()


def is_gone(pid: int, timeout_s: float = 60.0) -> bool:
    """Wait until a process is gone, and say whether it is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def supervise(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Start supervisors: `supervise(2)` for two processes."""
    running: list[Supervised] = []
    patient = redis.Redis.from_url(redis_url, socket_timeout=None)

    def start(processes: int, application: str = APPLICATION, url: str | None = redis_url) -> Supervised:
        (tmp_path / "shop.py").write_text(application)
        errors = tmp_path / "errors"
        environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        environ |= {"EVENTSYS_REDIS_URL": url} if url is not None else {}
        with errors.open("wb") as file:
            command = [sys.executable, "-c", PROGRAM, str(processes)]
            process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=file, stderr=file)
        running.append(Supervised(process, patient, errors))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.wait()
    patient.close()


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis) -> Iterator[EventService]:
    service = EventService(redis_url=redis_url, app="shop")
    yield service
    service.stop()


def test_a_dead_process_is_replaced_and_the_others_work_on(
    supervise: Callable[..., Supervised], events: EventService
) -> None:
    supervised = supervise(2)
    first, second = supervised.pid_from("started"), supervised.pid_from("started")
    os.kill(first, signal.SIGKILL)
    third = supervised.pid_from("started")
    assert third not in (first, second)
    for _ in range(20):
        events.publish("who")
    answers = {supervised.pid_from("answers") for _ in range(20)}
    assert answers <= {second, third}
    assert supervised.end() == 0
    assert is_gone(second)
    assert is_gone(third)


def test_what_a_killed_process_held_is_taken_over_at_once(
    supervise: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    """The supervisor knows that the process is dead, so nobody waits for its lease to end."""
    supervised = supervise(2)
    events.publish("wait")
    victim = supervised.pid_from("waiting")
    os.kill(victim, signal.SIGKILL)
    assert supervised.pid_from("waiting") != victim
    redis_client.rpush("go on", 1)
    supervised.pid_from("waited")
    assert supervised.end() == 0


def test_sigterm_lets_running_handlers_end_and_exits_with_0(
    supervise: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    supervised = supervise(1)
    waiting = events.publish("wait")
    pid = supervised.pid_from("waiting")
    supervised.process.terminate()
    redis_client.rpush("go on", 1)
    assert supervised.pid_from("waited") == pid
    assert supervised.process.wait(60) == 0
    assert is_gone(pid)
    assert events.get_event(waiting.id).status == "delivered"


def test_a_second_ctrl_c_ends_everything_now(supervise: Callable[..., Supervised], events: EventService) -> None:
    supervised = supervise(1)
    events.publish("wait")
    pid = supervised.pid_from("waiting")
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.pid_from("stopping") == pid
    assert supervised.end(signal.SIGINT) == 1
    assert is_gone(pid)


def test_without_a_configured_redis_the_embedded_one_runs_as_long_as_the_supervisor(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "told")
    tell = """
import os
from eventsys import EventService

events = EventService(app="shop")
with open("told", "w") as told:
    told.write(os.environ["EVENTSYS_REDIS_URL"])
"""
    supervised = supervise(1, application=tell, url=None)
    url = (tmp_path / "told").read_text()
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    assert supervised.end() == 0
    assert not Path(url.removeprefix("unix://")).exists()


def test_processes_die_with_a_supervisor_that_is_killed(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(2)
    pids = [supervised.pid_from("started"), supervised.pid_from("started")]
    supervised.end(signal.SIGKILL)
    assert all(is_gone(pid) for pid in pids)


def test_a_handler_that_holds_the_interpreter_past_its_limit_is_killed_from_outside(
    supervise: Callable[..., Supervised], events: EventService
) -> None:
    supervised = supervise(1, application=NO_GRACE + APPLICATION)
    supervised.pid_from("started")
    events.publish("hold")
    pid = supervised.pid_from("holding")
    assert is_gone(pid)
    assert supervised.pid_from("started") != pid
    assert "is killed" in supervised.errors()


def test_a_coroutine_that_ignores_its_cancellation_fails_by_timeout_and_its_process_is_replaced(
    supervise: Callable[..., Supervised], events: EventService
) -> None:
    supervised = supervise(1, application=NO_GRACE + APPLICATION)
    clinging = events.publish("cling")
    pids = [supervised.pid_from("clinging"), supervised.pid_from("clinging")]
    assert pids[0] != pids[1]
    record = events.wait(clinging.id, "60s")
    assert record.status == "failed"
    assert "TimeLimitExceeded" in str(record.deliveries)
    assert supervised.end() == 0


def test_an_application_that_cannot_be_imported_ends_the_supervisor_with_its_error(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(1, application="import no_such_module")
    assert supervised.process.wait(60) == 1
    last = supervised.errors().strip().splitlines()[-1]
    assert last == "the workers cannot start: ModuleNotFoundError: No module named 'no_such_module'"


def test_a_supervisor_shows_that_it_is_alive_until_it_ends(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    supervised = supervise(1)
    supervised.pid_from("started")
    assert (tmp_path / "alive").read_text() == f"{supervised.process.pid}\n"
    assert supervised.end() == 0
    assert not (tmp_path / "alive").exists()
