"""Fixtures for every test: services and workers, for what users see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest

from eventsys import EventService
from eventsys.broker import broker, presence
from tests.support.services import Services
from tests.support.workers import worker_classes

#: Settings with which nothing unsigned is handled.
SEALED = {"signing_keys": "k2:a secret of some length,k1:the secret that was before".replace(" ", "-")}


def plain_and_sealed() -> pytest.MarkDecorator:
    """Run the tests of a module as usual, and once more with everything signed."""
    return pytest.mark.parametrize("sealing", [{}, SEALED], indirect=True, ids=["plain", "sealed"])


@pytest.fixture
def sealing(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings that `plain_and_sealed` gives to every service of a test."""
    return getattr(request, "param", {})


@pytest.fixture
def rounds_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process look after things many times a second, for tests that wait for what it finds then."""
    monkeypatch.setattr(presence, "LOOK_S", 0.1)
    monkeypatch.setattr(broker, "Lease", lambda: presence.Lease(scan_s=0.2))


@pytest.fixture
def rounds_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no process make a round by itself, for tests in which one between two lines would change what they find."""
    monkeypatch.setattr(presence.Presence, "_is_round_due", lambda _: False)


@pytest.fixture
def services(redis_url: str, sealing: dict[str, str]) -> Iterator[Services]:
    """Services on the session's Redis, each on a bus of its own."""
    made = Services(redis_url, **sealing)
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
