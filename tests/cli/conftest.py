"""The command line against the session's Redis."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from eventsys import EventService
from eventsys.cli.commands import app
from tests.support.services import Services


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Take back what a command run in this process sets: `--redis-url` is meant for those that it starts."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventService]:
    """A service on the bus that the commands use; nothing is stored there yet."""
    monkeypatch.setenv("EVENTSYS_REDIS_URL", redis_url)
    monkeypatch.delenv("REDIS_URL", raising=False)
    services = Services(redis_url)
    yield services.make(name="default")
    services.close()


@pytest.fixture
def work(events: EventService, redis_url: str) -> Iterator[Callable[[], Any]]:
    """Start a worker for what `events` has subscribed by then."""
    import dramatiq

    services = Services(redis_url)
    yield lambda: services.work(events, dramatiq.Worker)
    services.close()


@pytest.fixture
def run(events: EventService) -> Callable[..., str]:
    """Run a command that succeeds, on the bus of `events`, and return what it printed."""

    def run_command(*arguments: str, stdin: str | None = None) -> str:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        assert result.exit_code == 0, result.stderr or result.exception
        return result.stdout

    return run_command
