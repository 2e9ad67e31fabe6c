"""Batches of processes that die, or whose handler does not react to its limit."""

from __future__ import annotations

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
    assert events.wait(made[13].id).status is EventStatus.FAILED
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
    assert {events.wait(one.id).status for one in made} == {EventStatus.FAILED}
    letters = events.dead_letters.list(DeadLetterFilter()).items
    assert [(letter.reason, letter.attempts) for letter in letters] == [("timeout", 1)] * 3
    assert supervised.end() == 0
