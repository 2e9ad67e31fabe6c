"""Workers on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from eventsys import EventService
from eventsys.broker.worker import Worker


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis) -> Iterator[EventService]:
    """A service on an empty bus."""
    service = EventService(redis_url=redis_url, app="shop", announce=False)
    yield service
    service.stop()


@pytest.fixture
def start_worker() -> Iterator[Callable[..., Worker]]:
    """Start workers whose brokers are closed after the test: `start_worker(broker, worker_threads=2)`."""
    workers: list[Worker] = []

    def start(broker: Any, **options: Any) -> Worker:
        worker = Worker(broker, **{"worker_threads": 4, "worker_timeout": 100, **options})
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        if worker.is_running:
            worker.stop(2_000)
        worker.broker.close()
