"""What becomes of the messages of a process that died, under a supervisor that knows what it had begun."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from dramatiq import Message

from eventsys import EventService
from tests.broker.letters import letters_of
from tests.support.supervised import Supervised
from tests.support.waiting import eventually

APPLICATION = """
import asyncio, ctypes, os
import dramatiq, redis
from eventsys import Event, EventService

client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"], socket_timeout=None)
events = EventService(app="shop", async_concurrency=50)
client.rpush("started", os.getpid())

@dramatiq.actor(actor_name="note", broker=events.broker)
def note(number):
    client.hincrby("handled", number, 1)

@dramatiq.actor(actor_name="crash", broker=events.broker)
def crash():
    client.incr("crashed")
    ctypes.string_at(0)

@events.on("doze", name="doze", timeout="60s")
async def doze(event: Event) -> None:
    client.rpush("dozing", os.getpid())
    await asyncio.Event().wait()
"""

#: A handler that does not react to its timeout, which is over soon.
STUCK = """
from eventsys.broker import interrupts
interrupts.GRACE_S = 0.5

import threading

@events.on("stick", name="stick", timeout="1s", max_retries=0)
def stick(event: Event) -> None:
    client.rpush("sticking", os.getpid())
    while True:
        try:
            threading.Event().wait(60)
        except BaseException:
            continue
"""

THREADS = 2
"""Of each process that `supervise_application` starts."""


@pytest.fixture
def supervise(supervise_application: Callable[..., Supervised]) -> Callable[..., Supervised]:
    """Start a supervisor of so many processes."""
    return lambda processes, more="": supervise_application(processes, APPLICATION + more)


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis) -> Iterator[EventService]:
    """A service on the bus of the application."""
    service = EventService(redis_url=redis_url, app="shop")
    yield service
    service.stop()


def _plain(name: str, *arguments: object) -> Message[Any]:
    return Message(queue_name="default", actor_name=name, args=arguments, kwargs={}, options={})


def _released(supervised: Supervised) -> list[tuple[int, int]]:
    """Return how many messages each dead process held, and how many of these may have killed it."""
    found = re.findall(r"held (\d+) messages, of which (\d+) may have killed it", supervised.errors())
    return [(int(held), int(suspects)) for held, suspects in found]


def test_one_of_a_thousand_messages_kills_its_process_and_is_buried_alone(
    supervise: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    """Its neighbours are handled at once: of what the dead processes held, next to nothing becomes a suspect."""
    for number in range(500):
        events.broker.enqueue(_plain("note", number))
    events.broker.enqueue(_plain("crash"))
    for number in range(500, 999):
        events.broker.enqueue(_plain("note", number))
    supervised = supervise(1)
    eventually(lambda: redis_client.hlen("handled") == 999)
    eventually(lambda: redis_client.exists(f"{events.broker.keys.prefix}:dead"))
    assert supervised.end() == 0
    assert [(one["reason"], one["attempts"]) for one in letters_of(events.broker)] == [("crash_loop", "5")]
    assert redis_client.get("crashed") == b"5"
    released = _released(supervised)
    assert len(released) == 5
    assert max(held for held, _ in released) > THREADS
    assert max(suspects for _, suspects in released) <= THREADS


def test_every_coroutine_that_had_begun_is_a_suspect(
    supervise: Callable[..., Supervised], events: EventService
) -> None:
    events.publish_many([("doze", {})] * 60)
    supervised = supervise(1)
    pids = {supervised.pid_from("dozing") for _ in range(50)}
    os.kill(pids.pop(), signal.SIGKILL)
    assert not pids
    supervised.pid_from("started")
    supervised.pid_from("started")
    held, suspects = eventually(lambda: _released(supervised))[0]
    assert (held >= 50, suspects) == (True, 50)


def test_what_runs_beside_a_handler_that_is_stuck_is_suspected_of_nothing(
    supervise: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    events.publish_many([("doze", {})] * 20)
    supervised = supervise(1, STUCK)
    dozing = {supervised.pid_from("dozing") for _ in range(20)}
    stuck = events.publish("stick")
    assert {supervised.pid_from("sticking")} == dozing
    assert {supervised.pid_from("dozing") for _ in range(20)} != dozing
    assert events.wait(stuck.id, "120s").status == "failed"
    assert sum(suspects for _, suspects in _released(supervised)) == 0
    assert redis_client.hlen(f"{events.broker.keys.prefix}:crashes") == 0
