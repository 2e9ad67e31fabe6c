"""A Redis that answers and takes no writes: its disk is full, or the replicas it must have are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from eventsys import Event, EventFilter, EventService
from eventsys.errors import RedisUnavailableError
from tests.conftest import FreshRedis
from tests.support.services import Services
from tests.support.waiting import eventually


class _FullDisk:
    """Redis can save nothing: where its file belongs, there is a directory. A disk that is full is told alike."""

    error = "MISCONF"

    def __init__(self, server: FreshRedis, client: Any) -> None:
        self._in_the_way = server.embedded.directory / "dump.rdb"
        self._client = client

    def begin(self) -> None:
        self._in_the_way.mkdir()
        self._client.config_set("save", "3600 1")
        self._client.bgsave()
        eventually(lambda: self._client.info("persistence")["rdb_last_bgsave_status"] == "err")

    def end(self) -> None:
        self._in_the_way.rmdir()
        self._client.bgsave()
        eventually(lambda: self._client.info("persistence")["rdb_last_bgsave_status"] == "ok")


class _TooFewReplicas:
    """Redis is to have a replica for each write, and has none."""

    error = "NOREPLICAS"

    def __init__(self, _: FreshRedis, client: Any) -> None:
        self._client = client

    def begin(self) -> None:
        self._client.config_set("min-replicas-to-write", "1")

    def end(self) -> None:
        self._client.config_set("min-replicas-to-write", "0")


Trouble = _FullDisk | _TooFewReplicas


@pytest.fixture
def server(fresh_redis: Callable[[], FreshRedis]) -> FreshRedis:
    return fresh_redis()


@pytest.fixture
def client(server: FreshRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture(params=[_FullDisk, _TooFewReplicas], ids=lambda one: one.error)
def trouble(server: FreshRedis, client: redis.Redis, request: pytest.FixtureRequest) -> Trouble:
    made: Trouble = request.param(server, client)
    return made


@pytest.fixture
def services(server: FreshRedis) -> Iterator[Services]:
    made = Services(server.url)
    yield made
    made.close()


def _contents(client: redis.Redis) -> dict[bytes, Any]:
    return {key: client.dump(key) for key in client.scan_iter()}


def test_publishing_fails_with_what_redis_said_and_leaves_nothing_behind(
    events: EventService, client: redis.Redis, trouble: Trouble
) -> None:
    events.publish("order.placed", {"number": 1})
    trouble.begin()
    before = _contents(client)
    with pytest.raises(RedisUnavailableError, match=f"was not published: .*{trouble.error}"):
        events.publish("order.placed", {"number": 2}, id="second")
    with pytest.raises(RedisUnavailableError, match=trouble.error):
        events.publish_many([("order.placed", {"number": 3}), ("order.placed", {"number": 4})])
    with pytest.raises(RedisUnavailableError, match=trouble.error):
        events.schedule("order.placed", {"number": 5}, delay=timedelta(hours=1))
    assert _contents(client) == before
    trouble.end()
    assert events.publish("order.placed", {"number": 2}, id="second").id == "second"
    assert events.get_event_records().total == 2


def test_the_buffer_keeps_what_redis_refuses_and_sends_it_once(events: EventService, trouble: Trouble) -> None:
    trouble.begin()
    receipts = [events.publish_async("order.placed", {"number": number}) for number in range(50)]
    assert not events.bus.flush(1.0)
    trouble.end()
    ids = {one.result(timeout=60).id for one in receipts}
    found = events.get_event_records(EventFilter(page_size=100)).items
    assert (len(found), {one.id for one in found}) == (50, ids)


def test_a_success_that_redis_refuses_is_committed_later_and_its_handler_runs_once(
    events: EventService, services: Services, worker_class: Any, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    """What it published goes out with it, once."""
    handled: list[str] = []

    @events.on("order.placed", name="charge")
    def charge(event: Event) -> None:
        handled.append(event.id)
        trouble.begin()
        events.publish("order.charged", {"of": event.id})

    placed = events.publish("order.placed", {"number": 1})
    services.work(events, worker_class)
    eventually(lambda: "commit waits for Redis: Redis cannot serve now" in caplog.text)
    assert trouble.error in caplog.text
    assert events.get_event(placed.id).status != "delivered"
    trouble.end()
    assert [one.attempts for one in events.wait(placed.id, "60s").deliveries] == [1]
    assert handled == [placed.id]
    [charged] = events.get_event_records(EventFilter(types=["order.charged"])).items
    assert charged.payload == {"of": placed.id}
