"""Batches of processes that die, or whose handler does not react to its limit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import redis

from eventsys import DeadLetterFilter, EventService, EventStatus
from tests.support.supervised import Supervised
from tests.support.waiting import eventually

APPLICATION = """
import ctypes, os, threading
import redis
from eventsys import Event, EventService
from eventsys.broker import interrupts

interrupts.GRACE_S = 0.5
client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"], socket_timeout=None)
events = EventService(app="shop")

@events.on("click.made", name="clicks", batch_size=20, batch_wait="100ms")
def clicks(batch: list[Event]) -> None:
    client.rpush("sizes", len(batch))
    for event in batch:
        if event.payload["n"] == 13:
            client.incr("crashed")
            ctypes.string_at(0)
        client.hincrby("handled", event.payload["n"], 1)

@events.on("stick", name="stick", batch_size=3, timeout="100ms", max_retries=0)
def stick(batch: list[Event]) -> None:
    while True:
        try:
            threading.Event().wait(60)
        except BaseException:
            continue
"""


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis) -> Iterator[EventService]:
    """A service on the bus of the application."""
    service = EventService(redis_url=redis_url, app="shop")
    yield service
    service.stop()


def test_of_a_batch_that_kills_its_process_only_the_guilty_event_is_buried(
    supervise_application: Callable[..., Supervised], events: EventService, redis_client: redis.Redis
) -> None:
    """The neighbours that had begun are handled alone, and those that had not in batches as before."""
    made = events.publish_many([("click.made", {"n": n}) for n in range(60)])
    supervised = supervise_application(1, APPLICATION)
    eventually(lambda: redis_client.hlen("handled") == 59)
    assert events.wait(made[13].id, "120s").status is EventStatus.FAILED
    others = [events.wait(one.id) for one in made[:13] + made[14:]]
    assert {(one.status, len(one.deliveries)) for one in others} == {(EventStatus.DELIVERED, 1)}
    assert {len([line for line in one.deliveries[0].history if line.error is None]) for one in others} == {1}
    (letter,) = events.dead_letters.list(DeadLetterFilter()).items
    assert (letter.event.id, letter.reason, redis_client.get("crashed")) == (made[13].id, "crash_loop", b"5")
    sizes = [int(size) for size in redis_client.lrange("sizes", 0, -1)]
    assert max(sizes) <= 20
    assert 1 in sizes
    assert supervised.end() == 0


def test_every_delivery_of_a_batch_that_is_stuck_ends_with_timeout(
    supervise_application: Callable[..., Supervised], events: EventService
) -> None:
    made = events.publish_many([("stick", {})] * 3)
    supervised = supervise_application(1, APPLICATION)
    assert {events.wait(one.id, "120s").status for one in made} == {EventStatus.FAILED}
    letters = events.dead_letters.list(DeadLetterFilter()).items
    assert [(letter.reason, letter.attempts) for letter in letters] == [("timeout", 1)] * 3
    assert supervised.end() == 0


DYING = """
import os
import redis
from eventsys import Event, EventService
from eventsys.broker import commit_trip

client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"], socket_timeout=None)
events = EventService(app="shop")
WHERE = "{where}"

def stay(where):
    if where == WHERE and client.set("has-stayed", 1, nx=True):
        client.rpush("stays", os.getpid())
        client.blpop("nothing", 60)

@events.on("click.made", name="clicks", batch_size=10, batch_wait="1m")
def clicks(batch: list[Event]) -> None:
    events.publish("sum.made", {{"of": [event.payload["n"] for event in batch]}})
    client.rpush("calls", len(batch))
    stay("in the handler")

@events.on("sum.made", name="sums")
def sums(event: Event) -> None:
    for n in event.payload["of"]:
        client.hincrby("summed", n, 1)

make = commit_trip.CommitTrip.make

def slow_commit(self, batch, **others):
    is_of_batch = len(batch) >= 10
    if is_of_batch:
        stay("before its commit")
    results = make(self, batch, **others)
    if is_of_batch:
        stay("after its commit")
    return results

commit_trip.CommitTrip.make = slow_commit
"""


@pytest.mark.parametrize("where", ["in the handler", "before its commit", "after its commit"])
def test_what_a_batch_published_goes_out_once_wherever_its_process_is_killed(
    supervise_application: Callable[..., Supervised], events: EventService, redis_client: redis.Redis, where: str
) -> None:
    """Killed before its commit, nothing of it happened, and what takes over publishes for all of it anew."""
    supervised = supervise_application(1, DYING.format(where=where))
    made = events.publish_many([("click.made", {"n": n}) for n in range(10)])
    os.kill(supervised.pid_from("stays"), signal.SIGKILL)
    records = [events.wait(one.id, "120s") for one in made]
    assert {(one.status, len(one.deliveries)) for one in records} == {(EventStatus.DELIVERED, 1)}
    eventually(lambda: redis_client.hlen("summed") == 10)
    eventually(lambda: events.get_metrics().pending_events == 0)
    assert set(redis_client.hvals("summed")) == {b"1"}
    calls = [int(size) for size in redis_client.lrange("calls", 0, -1)]
    assert calls == ([10] if where == "after its commit" else [10] + [1] * 10)
    assert supervised.end() == 0
