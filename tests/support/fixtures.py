"""Fixtures for every test: services and workers, for what users see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest

from eventsys import EventService
from tests.support.services import Services
from tests.support.workers import worker_classes


@pytest.fixture
def services(redis_url: str) -> Iterator[Services]:
    """Services on the session's Redis, each on a bus of its own."""
    made = Services(redis_url)
    yield made
    made.close()


@pytest.fixture
def events(services: Services) -> EventService:
    """A service on a new bus."""
    return services.make()


@pytest.fixture(params=worker_classes(), ids=lambda one: one.__module__.partition(".")[0])
def worker_class(request: pytest.FixtureRequest) -> Any:
    """Dramatiq's worker, then ours."""
    return request.param


@pytest.fixture
def work(services: Services, events: EventService, worker_class: Any) -> Callable[..., Any]:
    """Start a worker for `events`, once the test has declared its handlers; runs with every worker there is."""

    def start(**options: Any) -> Any:
        return services.work(events, worker_class, **options)

    return start


@pytest.fixture
def quick_work(services: Services, events: EventService) -> Callable[..., Any]:
    """Start a worker for `events`: Dramatiq's, where the worker does not matter."""

    def start(**options: Any) -> Any:
        return services.work(events, dramatiq.Worker, **options)

    return start
