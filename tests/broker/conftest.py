"""A broker on the session's Redis, and Dramatiq's own worker on it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Worker
from dramatiq.middleware import AsyncIO

from eventsys.broker.broker import EventBroker
from eventsys.middleware import default_middleware
from eventsys.scheduling.poller import PollerMiddleware


@pytest.fixture
def make_broker(redis_client: redis.Redis, redis_url: str) -> Iterator[Callable[..., EventBroker]]:
    """Make brokers on an empty Redis; they are closed after the test."""
    brokers: list[EventBroker] = []

    def make(url: str = redis_url, *, more: list[dramatiq.Middleware] | None = None, **options: Any) -> EventBroker:
        # Without AsyncIO, whose event loop a process has one of: some tests run two workers.
        usual = [one for one in default_middleware() if not isinstance(one, AsyncIO)]
        middleware = [*usual, PollerMiddleware(), *(more or [])]
        made = EventBroker(url, middleware=middleware, **options)
        brokers.append(made)
        dramatiq.set_broker(made)
        return made

    yield make
    for made in brokers:
        made.close()


@pytest.fixture
def garbage_as_it_was() -> Iterator[None]:
    """Give the collector of this process back what it had, after a test that boots it as a worker process."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def broker(make_broker: Callable[..., EventBroker]) -> EventBroker:
    """The usual broker."""
    return make_broker()


@pytest.fixture
def start_worker() -> Iterator[Callable[..., Worker]]:
    """Start Dramatiq's own workers; they are stopped after the test."""
    with ExitStack() as stack:

        def start(broker: EventBroker, *, threads: int = 8, **options: Any) -> Worker:
            worker = Worker(broker, worker_timeout=100, worker_threads=threads, **options)
            worker.start()
            stack.callback(worker.stop)
            return worker

        yield start
