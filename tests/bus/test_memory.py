"""A Redis that is nearly full takes no more events, says so, and goes on with what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import redis

from eventsys import BackpressureError, Event, EventFilter, EventService, EventStatus
from eventsys.bus.memory_watch import MEMORY_FULL
from eventsys.store.memory_room import MemoryRoom
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def server(fresh_redis: Callable[[], Any]) -> Iterator[redis.Redis]:
    """The administrator of a Redis of the test's own."""
    with redis.Redis.from_url(fresh_redis().url) as client:
        client.setrange("ballast", 16_000_000, "x")  # so that a percent is more than a connection needs
        yield client


@pytest.fixture
def events(server: redis.Redis, services: Services) -> EventService:
    """A service on that Redis."""
    path = server.connection_pool.connection_kwargs["path"]
    return services.make(redis_url=f"unix://{path}")


def _fill(server: redis.Redis, share: float) -> None:
    """Let the memory that is used be a share of what may be; 0: there is no limit."""
    server.config_set("maxmemory", int(server.info("memory")["used_memory"] / share) if share else 0)


#: What a process says by itself of a Redis that is full is no part of what these tests publish.
OURS = EventFilter(types=("a.b", "inline.one"))

WAYS: dict[str, Callable[[EventService], object]] = {
    "publish": lambda events: events.publish("a.b", {}),
    "apublish": lambda events: asyncio.run(events.apublish("a.b", {})),
    "many": lambda events: events.publish_many([("a.b", {})]),
    "schedule": lambda events: events.schedule("a.b", {}, delay="1h"),
    "inline": lambda events: events.publish("inline.one", {}),
    "ainline": lambda events: asyncio.run(events.apublish("inline.one", {})),
}


@pytest.mark.redis62
@pytest.mark.parametrize("way", WAYS)
def test_what_is_new_is_refused_above_95_percent(server: redis.Redis, events: EventService, way: str) -> None:
    events.on("inline.one", name="inline", async_=False)(lambda event: None)
    _fill(server, 0.97)
    with pytest.raises(BackpressureError, match=r"\d% of its memory limit"):
        WAYS[way](events)
    assert events.get_event_records(OURS).total == 0
    _fill(server, 0.93)
    WAYS[way](events)


def test_what_a_handler_publishes_is_refused_too_and_goes_out_when_there_is_room(
    server: redis.Redis, events: EventService, services: Services
) -> None:
    @events.on("a.b", name="h", max_retries=1_000, retry_delay="50ms")
    def handle(event: Event) -> None:
        events.publish("c.d", {})

    first = events.publish("a.b", {})
    _fill(server, 0.97)
    events.broker.work.room.forget()  # what it heard within the last second
    with pytest.raises(BackpressureError):
        events.publish("a.b", {})
    services.work(events)
    record = eventually(lambda: next((one for one in [events.get_event(first.id)] if one.error), None))
    assert record.error.startswith("BackpressureError")
    _fill(server, 0)
    assert events.wait(first.id).status is EventStatus.DELIVERED


def test_a_person_is_told_that_redis_is_full_and_that_it_has_room_again(
    server: redis.Redis, events: EventService, services: Services
) -> None:
    _fill(server, 0.97)
    services.work(events)
    [trouble] = eventually(lambda: events.bus.system.troubles())
    assert (trouble.key, trouble.event_type) == (MEMORY_FULL, "system.warning")
    assert "raise maxmemory" in trouble.message
    _fill(server, 0)
    eventually(lambda: not events.bus.system.troubles())


def test_a_user_who_may_not_ask_publishes_all_the_same(server: redis.Redis, events: EventService) -> None:
    server.execute_command("ACL", "SETUSER", "default", "-info")
    events.publish("a.b", {})
    assert events.get_event_records(OURS).total == 1


def test_whoever_was_refused_is_not_answered_by_what_another_thread_was_told_before() -> None:
    """While one thread asks again, a second asks too, and goes on with what it hears."""

    class Full:
        told: ClassVar = [b"used_memory:99\r\nmaxmemory:100\r\n"]

        def call(self, *command: str) -> bytes:
            if len(self.told) > 1:
                self.told.pop()
                assert room.look() == 0.5, "asked by another thread meanwhile"
            return self.told[0]

    link = Full()
    room = MemoryRoom(link)  # type: ignore[arg-type]
    assert room.look() == 0.99
    link.told = [b"used_memory:50\r\nmaxmemory:100\r\n", b"the first to ask"]
    assert room.look() == 0.5
