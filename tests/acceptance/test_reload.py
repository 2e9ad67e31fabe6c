"""A worker under load whose handlers are edited again and again: nothing is lost, fails, or runs twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from eventsys import EventService
from tests.acceptance.processes import wait_for
from tests.acceptance.terminal import Terminal
from tests.conftest import FreshRedis

#: Deliveries at least, and reloads: in full with EVENTSYS_RELOAD_DELIVERIES=10000 EVENTSYS_RELOADS=50.
DELIVERIES = int(os.environ.get("EVENTSYS_RELOAD_DELIVERIES", "2000"))
RELOADS = int(os.environ.get("EVENTSYS_RELOADS", "10"))

#: Deliveries that are always left, so that some are in flight at every reload, however long that takes.
WAITING = 400

APP = """
import os
import redis
from eventsys import EventService

events = EventService(app="shop")
client = redis.Redis.from_url(os.environ["EVENTSYS_REDIS_URL"])
"""

#: Both kinds of handlers, slow enough that deliveries are in flight at every reload.
HANDLERS = """
import asyncio, time
from shop.app import client, events

VERSION = {version}

@events.on("order.paid", name="ship", max_retries=0)
def ship(event):
    time.sleep(0.02)
    client.rpush("ran", f"{{VERSION}} {{event.id}} ship")

@events.on("order.paid", name="tell", max_retries=0)
async def tell(event):
    await asyncio.sleep(0.05)
    client.rpush("ran", f"{{VERSION}} {{event.id}} tell")
"""


@pytest.fixture
def url(fresh_redis: Callable[[], FreshRedis]) -> str:
    return fresh_redis().url


@pytest.fixture
def worker(url: str, tmp_path: Path) -> Iterator[Terminal]:
    """`eventsys worker shop --reload`, one process."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("import eventsys\neventsys.discover(__name__)\n")
    (package / "app.py").write_text(APP)
    (package / "orders.py").write_text(HANDLERS.format(version=0))
    command = ["-m", "eventsys", "worker", "shop", "--processes", "1", "--reload", "--redis-url", url]
    terminal = Terminal(*command, directory=tmp_path)
    yield terminal
    terminal.kill()


class Load:
    """Publishes so much that there are always deliveries to be made, until it is told that it is enough."""

    def __init__(self, events: EventService, client: redis.Redis) -> None:
        self.published = 0
        self._events, self._client = events, client
        self._is_enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._is_enough.set()
        self._thread.join()

    def left(self) -> int:
        return 2 * self.published - self._client.llen("ran")

    def _run(self) -> None:
        while not self._is_enough.wait(0.01) or 2 * self.published < DELIVERIES:
            if self.left() < WAITING:
                self.published += len(self._events.publish_many([("order.paid", {})] * 100))


def test_deliveries_in_flight_survive_reloads_of_their_handlers(worker: Terminal, url: str, tmp_path: Path) -> None:
    worker.sees("Event loop is running")
    events, client = EventService(redis_url=url, app="shop"), redis.Redis.from_url(url)
    load, waiting = Load(events, client), []
    try:
        for version in range(1, RELOADS + 1):
            (tmp_path / "shop" / "orders.py").write_text(HANDLERS.format(version=version))
            worker.sees("loaded shop.orders again in")
            waiting.append(load.left())
    finally:
        load.end()
    count, deliveries = load.published, 2 * load.published
    wait_for(lambda: events.get_metrics().delivered_events == count, "the end of every event")
    ran = [one.decode().split(" ", 1) for one in client.lrange("ran", 0, -1)]
    assert len({what for _, what in ran}) == len(ran) == deliveries
    assert events.get_metrics().failed_events == 0
    assert len({int(version) for version, _ in ran}) > RELOADS / 3, "the load was over too soon to show anything"
    print(f"{deliveries} deliveries, {RELOADS} reloads; left at each: {waiting}")
    events.stop()
