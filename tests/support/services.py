"""Services on a bus of their own, and the workers that run them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import dramatiq
import redis

from eventsys import EventService

Make = Callable[..., EventService]


class Services:
    """Makes services, each on a new bus of one Redis unless told otherwise, and ends all of them.

    Args:
        redis_url: The Redis.
        **defaults: Settings of each, unless told otherwise.
    """

    def __init__(self, redis_url: str, **defaults: Any) -> None:
        self._redis_url = redis_url
        self._defaults = defaults
        self._made: list[EventService] = []
        self._workers: list[Any] = []

    def make(self, **settings: Any) -> EventService:
        """Return a service; the keywords are its settings. Its workers do not announce themselves unless told to."""
        given = {
            "redis_url": self._redis_url,
            "name": f"t{secrets.token_hex(4)}",
            "app": "tests",
            "announce": False,
            **self._defaults,
            **settings,
        }
        service = EventService(**given)
        self._made.append(service)
        return service

    def adopt(self, service: EventService) -> None:
        """End a service that somebody else made, too."""
        self._made.append(service)

    def work(
        self, service: EventService, worker_class: Any = dramatiq.Worker, *, threads: int = 4, **options: Any
    ) -> Any:
        """Return a running worker for a service."""
        worker = worker_class(service.broker, worker_threads=threads, worker_timeout=50, **options)
        self._workers.append(worker)
        worker.start()
        return worker

    def close(self) -> None:
        """Stop the workers and the services."""
        for worker in self._workers:
            worker.stop(10_000)  # what a test that failed has left without its Redis is never committed
        for service in self._made:
            service.stop()


def commands_of(client: redis.Redis) -> dict[str, int]:
    """Return how often each command has been called on a Redis."""
    stats: Any = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): facts["calls"] for name, facts in stats.items()}


def used_since(client: redis.Redis, before: dict[str, int]) -> dict[str, int]:
    """Return how often each command was called since `before`, without those that count."""
    now = commands_of(client)
    return {
        name: calls - before.get(name, 0)
        for name, calls in now.items()
        if calls != before.get(name, 0) and name not in {"info", "config|resetstat"}
    }
