"""Worker processes in which nobody gets the interpreter any more, or that never begin, as a supervisor sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from eventsys import EventService
from eventsys.runtime.liveness import seconds_since_beat
from eventsys.runtime.pulse import Pulse
from tests.support.supervised import PROGRAM, Supervised, is_gone
from tests.support.waiting import eventually

APPLICATION = """
import ctypes, os
import redis
from eventsys import Event, EventService
from eventsys.broker.presence import Lease

client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"], socket_timeout=None)
events = EventService(app="shop")
events.broker.work.lease = Lease.of(2)
client.rpush("started", os.getpid())

@events.on("wedge", name="wedge", timeout=None)
def wedge(event: Event) -> None:
    client.rpush("wedged", os.getpid())
    if client.incr("attempts") == 1:
        ctypes.PyDLL(None).pause()

@events.on("doze", name="doze")
def doze(event: Event) -> None:
    client.rpush("dozing", os.getpid())
    ctypes.PyDLL(None).poll(None, 0, 4_000)

@events.on("wait", name="wait", timeout=None)
def wait(event: Event) -> None:
    client.rpush("waiting", os.getpid())
    client.blpop("go on", 60)
"""

#: Supervises processes that no signal ends, as those are which wait in the system for a disk that is gone.
UNKILLABLE = f"""
from eventsys.runtime.child import Child
Child.kill = lambda child: setattr(child, "is_killed", True)
{PROGRAM}
"""


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis) -> Iterator[EventService]:
    service = EventService(redis_url=redis_url, app="shop")
    yield service
    service.stop()


def test_a_process_in_which_nobody_gets_the_interpreter_is_killed_and_replaced(
    supervise_application: Callable[..., Supervised], events: EventService
) -> None:
    """No handler with a limit runs there, so nothing else would ever end it."""
    supervised = supervise_application(1, APPLICATION, silent_s=1.0)
    supervised.pid_from("started")
    wedged = events.publish("wedge")
    pid = supervised.pid_from("wedged")
    assert is_gone(pid)
    assert supervised.pid_from("wedged") != pid
    assert events.wait(wedged.id, "60s").status == "delivered"
    assert "something in it keeps the interpreter; it is killed" in supervised.errors()
    assert supervised.end() == 0


def test_a_handler_with_a_limit_may_keep_the_interpreter_until_that_is_over(
    supervise_application: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    supervised = supervise_application(1, APPLICATION, silent_s=3.0)
    supervised.pid_from("started")
    dozing = events.publish("doze")
    assert [one.attempts for one in events.wait(dozing.id, "60s").deliveries] == [1]
    assert redis_client.llen("dozing") == 1
    assert supervised.end() == 0
    assert "is killed" not in supervised.errors()


def test_a_process_whose_handlers_wait_is_not_silent(
    supervise_application: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    """A handler without a limit may wait for as long as it likes: others have the interpreter meanwhile."""
    supervised = supervise_application(1, APPLICATION, silent_s=3.0)
    waiting = events.publish("wait")
    supervised.pid_from("waiting")
    assert redis_client.blpop(["nothing"], 6) is None
    redis_client.rpush("go on", 1)
    assert [one.attempts for one in events.wait(waiting.id, "60s").deliveries] == [1]
    assert supervised.end() == 0


def test_that_a_process_does_not_get_to_its_work_is_told_once(
    supervise_application: Callable[..., Supervised], redis_client: redis.Redis
) -> None:
    """An import that hangs says nothing by itself."""
    hangs = APPLICATION + 'client.rpush("loading", os.getpid())\nclient.blpop("go on", 60)\n'
    supervised = supervise_application(1, hangs, begins_within_s=1.0)
    pid = supervised.pid_from("loading")
    late = f"process {pid} has not begun to work after "
    eventually(lambda: late in supervised.errors())
    assert f"py-spy dump --pid {pid}" in supervised.errors()
    redis_client.rpush("go on", 1)
    assert redis_client.blpop(["nothing"], 2) is None  # a few looks more
    assert supervised.errors().count(late) == 1
    assert supervised.end() == 0


def test_one_that_begins_anew_since_it_was_saved_and_hangs_then_is_told_of_too(
    supervise_application: Callable[..., Supervised], redis_client: redis.Redis, tmp_path: Path
) -> None:
    program = PROGRAM.replace("threads=2", "threads=2, development=Development(reloads=True)")
    program = f"from eventsys.runtime.development.options import Development\n{program}"
    supervised = supervise_application(1, "import no_such_module", begins_within_s=1.0, program=program)
    eventually(lambda: "no_such_module" in supervised.errors())
    hangs = APPLICATION + 'client.rpush("loading", os.getpid())\nclient.blpop("go on", 60)\n'
    (tmp_path / "shop.py").write_text(hangs)
    pid = supervised.pid_from("loading")
    late = f"process {pid} has not begun to work after "
    eventually(lambda: late in supervised.errors().rpartition("no_such_module")[2])
    redis_client.rpush("go on", 1)
    assert supervised.end() == 0


def test_what_a_process_holds_that_no_signal_ends_is_taken_over_and_nobody_seems_well(
    supervise_application: Callable[..., Supervised], events: EventService, tmp_path: Path
) -> None:
    supervised = supervise_application(1, APPLICATION, silent_s=1.0, program=UNKILLABLE)
    supervised.pid_from("started")
    wedged = events.publish("wedge")
    pid = supervised.pid_from("wedged")
    eventually(lambda: (seconds_since_beat(tmp_path / "alive") or 0.0) > 3.0)
    assert supervised.errors().count("it is killed") == 1
    other = supervise_application(1, APPLICATION)
    assert other.pid_from("wedged") != pid
    assert events.wait(wedged.id, "60s").status == "delivered"
    assert other.end() == 0


class _Seconds:
    """A clock that a test turns."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def look_on(self, pulse: Pulse, beat: float, seconds: int, *, is_excused: bool = False) -> float:
        """Look once a second while nothing is heard, and return how long that seems."""
        silent_s = 0.0
        for _ in range(seconds):
            self.now += 1.0
            silent_s = pulse.look(beat, is_excused=is_excused)
        return silent_s


def test_silence_counts_from_the_last_beat_and_not_before_the_first() -> None:
    clock = _Seconds()
    pulse = Pulse(clock)
    assert clock.look_on(pulse, 0.0, 500) == 0.0
    assert clock.look_on(pulse, 7.0, 1) == 0.0
    assert clock.look_on(pulse, 7.0, 30) == 30.0
    assert clock.look_on(pulse, 8.0, 1) == 0.0


def test_silence_counts_anew_once_something_else_decides_no_longer() -> None:
    clock = _Seconds()
    pulse = Pulse(clock)
    clock.look_on(pulse, 7.0, 40)
    assert clock.look_on(pulse, 7.0, 100, is_excused=True) == 0.0
    assert clock.look_on(pulse, 7.0, 2) == 2.0


def test_silence_in_which_nobody_looked_does_not_count() -> None:
    """Of a machine that was frozen, whoever wakes first must not take the others for dead."""
    clock = _Seconds()
    pulse = Pulse(clock)
    clock.look_on(pulse, 7.0, 2)
    clock.now += 3_600.0
    assert clock.look_on(pulse, 7.0, 1) == 0.0
