"""`eventsys health`: alive does not ask Redis, ready does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from eventsys import Event, EventService
from eventsys.cli.commands import app
from eventsys.model.diagnosis import Finding
from eventsys.runtime.liveness import LivenessFile


def health(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["health", *arguments])


def test_a_worker_is_alive_as_long_as_it_touches_its_file_though_redis_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSYS_REDIS_URL", "redis://127.0.0.1:1")
    path = tmp_path / "alive"
    assert health("--liveness-file", str(path)).exit_code == 1
    file = LivenessFile(path)
    file.beat()
    assert health("--liveness-file", str(path)).exit_code == 0
    os.utime(path, (1, 1))
    dead = health("--liveness-file", str(path), "--json")
    assert dead.exit_code == 1
    assert "the last sign of life" in Finding.model_validate_json(dead.stdout).said
    file.remove()
    assert "nobody has written" in health("--liveness-file", str(path)).stdout


def test_without_a_file_there_is_nothing_to_look_at() -> None:
    result = health()
    assert result.exit_code == 2
    assert "--liveness-file" in result.stderr


def test_ready_is_a_redis_that_answers_and_a_worker_here(events: EventService, work: Callable[[], Any]) -> None:
    assert "no worker process of this host is alive" in health("--ready").stdout
    handled = threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        handled.set()

    events.publish("order.paid", {})
    work()
    assert handled.wait(60)
    ready = health("--ready")
    assert (ready.exit_code, ready.stdout) == (
        0,
        "ok: Redis answers, and 1 worker process of this host is alive\n",
    )


def test_a_redis_that_is_away_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    result = health("--ready", "--redis-url", "redis://127.0.0.1:1")
    assert (result.exit_code, result.stdout.startswith("problem: Redis does not answer")) == (1, True)
