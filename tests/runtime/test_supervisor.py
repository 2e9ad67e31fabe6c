"""Worker processes under their supervisor: real processes, which tell what they do over Redis."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from eventsys import EventService
from eventsys.runtime.back_off import BackOff
from eventsys.runtime.supervisor import Supervisor
from tests.support.supervised import PROGRAM, Supervised, is_gone
from tests.support.waiting import eventually

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

@events.on("hold", name="hold", timeout="1s", max_retries=0)
def hold(event: Event) -> None:
    client.rpush("holding", os.getpid())
    ctypes.PyDLL(None).pause()

@events.on("doze", name="doze")
def doze(event: Event) -> None:
    client.rpush("dozing", os.getpid())
    ctypes.PyDLL(None).poll(None, 0, 5_000)
    client.rpush("awake", os.getpid())

@events.on("cling", name="cling", timeout="100ms", max_retries=1, retry_delay=0)
async def cling(event: Event) -> None:
    client.rpush("clinging", os.getpid())
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
"""

#: Ends the lease of a process that does not beat for two seconds.
SHORT_LEASE = """
from eventsys.broker.lease import Lease
events.broker.work.lease = Lease.of(2)
"""

#: Lets a handler count as stuck as soon as its limit is over.
NO_GRACE = """
from eventsys.broker import hard_limits, interrupts
hard_limits.GRACE_S = interrupts.GRACE_S = 0.1
"""

#: A supervisor that breaks as soon as there is a file of that name.
BREAKS = f"""
from pathlib import Path
from eventsys.runtime.supervisor import Supervisor

next_look_s = Supervisor._next_look_s

def look(supervisor):
    if Path("broken").exists():
        raise RuntimeError("it is broken")
    return next_look_s(supervisor)

Supervisor._next_look_s = look
{PROGRAM}
"""


@pytest.fixture
def supervise(supervise_application: Callable[..., Supervised]) -> Callable[..., Supervised]:
    """Start supervisors: `supervise(2)` for two processes."""
    return partial(supervise_application, application=APPLICATION)


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
    assert supervised.process.wait(120) == 0
    assert is_gone(pid)
    assert events.get_event(waiting.id).status == "delivered"


@pytest.mark.parametrize(("own", "expected"), [("", b"0.001"), ("import sys; sys.setswitchinterval(0.25)", b"0.25")])
def test_threads_take_turns_quickly_unless_the_application_chooses(
    supervise_application: Callable[..., Supervised], redis_client: redis.Redis, own: str, expected: bytes
) -> None:
    said = 'import sys; client.rpush("interval", sys.getswitchinterval())'
    supervised = supervise_application(1, f"{APPLICATION}\n{own}\n{said}")
    assert redis_client.blpop(["interval"], 120) == (b"interval", expected)
    assert supervised.end() == 0


def test_a_second_ctrl_c_ends_everything_now(supervise: Callable[..., Supervised], events: EventService) -> None:
    supervised = supervise(1)
    events.publish("wait")
    pid = supervised.pid_from("waiting")
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.pid_from("stopping") == pid
    assert supervised.end(signal.SIGINT) == 1
    assert is_gone(pid)


def test_processes_die_with_a_supervisor_that_is_killed(supervise: Callable[..., Supervised]) -> None:
    supervised = supervise(2)
    pids = [supervised.pid_from("started"), supervised.pid_from("started")]
    supervised.end(signal.SIGKILL)
    assert all(is_gone(pid) for pid in pids)


def test_a_handler_that_holds_the_interpreter_past_its_limit_is_killed_from_outside(
    supervise: Callable[..., Supervised], events: EventService
) -> None:
    supervised = supervise(1, application=NO_GRACE + APPLICATION, kill_after_s=0.1)
    supervised.pid_from("started")
    events.publish("hold")
    pid = supervised.pid_from("holding")
    assert is_gone(pid)
    assert supervised.pid_from("started") != pid
    assert "is killed" in supervised.errors()


def test_a_handler_that_holds_the_interpreter_for_longer_than_a_lease_keeps_its_work(
    supervise: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    """Its process cannot renew the lease meanwhile; the supervisor does."""
    supervised = supervise(2, application=APPLICATION + SHORT_LEASE)
    supervised.pid_from("started")
    supervised.pid_from("started")
    dozing = events.publish("doze")
    supervised.pid_from("awake")
    assert events.wait(dozing.id, "60s").deliveries[0].attempts == 1
    assert redis_client.llen("dozing") == 1
    assert supervised.end() == 0


def test_what_a_stopped_process_holds_is_taken_over_when_its_lease_ends(
    supervise: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    """It lives, and does nothing until somebody lets it go on."""
    supervised = supervise(2, application=APPLICATION + SHORT_LEASE)
    supervised.pid_from("started")
    supervised.pid_from("started")
    waiting = events.publish("wait")
    stopped = supervised.pid_from("waiting")
    os.kill(stopped, signal.SIGSTOP)
    try:
        assert supervised.pid_from("waiting") != stopped
        redis_client.rpush("go on", 1, 2)  # who is stopped stands in line for one of them, too
        assert events.wait(waiting.id, "60s").status == "delivered"
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert supervised.end() == 0


def test_where_the_system_starts_no_process_the_others_work_on_until_it_does(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor(["no_such_module"], processes=1, environ={**os.environ, "EVENTSYS_REDIS_URL": redis_url})

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    open_before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as refusing:
        refusing.setattr(subprocess, "Popen", refuse)
        refusing.setattr(supervisor, "_tend", lambda: setattr(supervisor, "_stops", 1))
        assert supervisor.run() == 0
    assert "no process can be started now" in caplog.text
    assert len(supervisor._starts_at) == 1, "it is tried again"
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_a_supervisor_that_breaks_lets_running_handlers_end_all_the_same(
    supervise: Callable[..., Supervised], events: EventService, redis_client: redis.Redis, tmp_path: Path
) -> None:
    supervised = supervise(1, program=BREAKS)
    events.publish("wait")
    pid = supervised.pid_from("waiting")
    (tmp_path / "broken").touch()
    assert supervised.pid_from("stopping") == pid
    redis_client.rpush("go on", 1)
    assert supervised.pid_from("waited") == pid
    assert supervised.process.wait(120) == 1
    assert supervised.errors().strip().endswith("RuntimeError: it is broken")
    assert not (tmp_path / "alive").exists()


def test_a_coroutine_that_ignores_its_cancellation_fails_by_timeout_and_its_process_is_replaced(
    supervise: Callable[..., Supervised], events: EventService
) -> None:
    supervised = supervise(1, application=NO_GRACE + APPLICATION)
    clinging = events.publish("cling")
    pids = [supervised.pid_from("clinging"), supervised.pid_from("clinging")]
    assert pids[0] != pids[1]
    record = events.wait(clinging.id, "120s")
    assert record.status == "failed"
    assert "TimeLimitExceeded" in str(record.deliveries)
    assert supervised.end() == 0


def test_an_application_that_cannot_be_imported_ends_the_supervisor_with_its_error(
    supervise: Callable[..., Supervised],
) -> None:
    supervised = supervise(1, application="import no_such_module")
    assert supervised.process.wait(120) == 1
    last = supervised.errors().strip().splitlines()[-1]
    assert last == "the workers cannot start: ModuleNotFoundError: No module named 'no_such_module'"


def test_a_supervisor_shows_that_it_is_alive_until_it_ends(
    supervise: Callable[..., Supervised], tmp_path: Path
) -> None:
    supervised = supervise(1)
    supervised.pid_from("started")
    # Somebody may look just as it is written anew.
    eventually(lambda: (tmp_path / "alive").read_text() == f"{supervised.process.pid}\n")
    assert supervised.end() == 0
    assert not (tmp_path / "alive").exists()


def test_a_liveness_file_that_cannot_be_written_any_more_is_told_and_ends_nobody(
    supervise: Callable[..., Supervised], events: EventService, tmp_path: Path
) -> None:
    supervised = supervise(1)
    pid = supervised.pid_from("started")
    (tmp_path / "folder").mkdir()  # nothing can be written to a directory, not by root either
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "link").replace(tmp_path / "alive")  # in one step: the supervisor would write a new file in between
    eventually(lambda: "alive cannot be written: Is a directory" in supervised.errors())
    events.publish("who", {})
    assert supervised.pid_from("answers") == pid
    (tmp_path / "alive").unlink()
    eventually((tmp_path / "alive").is_file)
    assert supervised.end() == 0
    assert supervised.errors().count("cannot be written") == 1


@pytest.mark.parametrize(("has_worked", "longest_s"), [(True, 1.0), (False, 10.0)])
def test_a_process_that_had_begun_to_work_is_replaced_sooner_than_one_that_cannot_start(
    has_worked: bool, longest_s: float
) -> None:
    """What its handlers do to it is not mended by waiting, and everything else waits with it."""
    back_off = BackOff()
    pauses_s = [back_off.after(2.0, has_worked=has_worked) for _ in range(9)]
    assert pauses_s[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses_s[-1] == longest_s
    assert back_off.after(60.0, has_worked=has_worked) == 0.1
