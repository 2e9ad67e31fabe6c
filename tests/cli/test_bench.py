"""`eventsys bench`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from eventsys import EventService
from eventsys.model.bench_result import BenchResult
from eventsys.runtime.bench import measuring


def test_every_figure_is_measured_and_nothing_is_left_in_redis(
    run: Callable[..., str], events: EventService, redis_client: redis.Redis
) -> None:
    """A quick run: real workers, real publishing, and a bus that is gone afterwards while others stay."""
    redis_client.set("es:{default}:somebodys", "own")
    result = BenchResult.model_validate_json(run("bench", "--quick", "--json"))
    assert min(result.publish_per_s, result.publish_many_per_s, result.deliveries_per_s) > 0
    assert (result.latency.count, result.lateness.count, result.early) == (10, 20, 0)
    assert 0 < result.latency.p50_ms <= result.latency.p99_ms
    assert 0 <= result.lateness.p50_ms <= result.lateness.p99_ms
    assert result.recovery_s is None
    assert not list(redis_client.scan_iter("*bench*"))
    assert redis_client.get("es:{default}:somebodys") == b"own"


def test_a_result_reads_back_from_its_json(run: Callable[..., str], events: EventService) -> None:
    text = run("bench", "--quick", "--json")
    assert BenchResult.model_validate_json(text).model_dump_json() == text.strip()


def test_people_read_one_line_a_figure(run: Callable[..., str], events: EventService) -> None:
    lines = run("bench", "--quick").splitlines()
    assert [line.split()[0] for line in lines] == ["Redis", "publish", "publish_many", "fan-out", "latency", "delayed"]


def test_on_a_machine_that_is_slow_nothing_seems_early_and_nothing_is_scheduled_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each look at a clock takes 50 ms here, and so does each schedule."""
    epoch, passed_us, seconds_ahead = datetime(2026, 11, 26, tzinfo=UTC), [0], list[float]()

    def pass_time() -> int:
        passed_us[0] += 50_000
        return passed_us[0]

    def schedule(_type: str, payload: dict[str, Any], *, at: datetime) -> None:
        due_us = (at - epoch) // timedelta(microseconds=1)
        assert int(payload["at_us"]) <= due_us
        seconds_ahead.append((due_us - pass_time()) / 1_000_000)

    bus: Any = SimpleNamespace(
        events=SimpleNamespace(schedule=schedule), take_notes=lambda _name, count: [b"0"] * count
    )
    monkeypatch.setattr(measuring, "time", SimpleNamespace(monotonic_ns=lambda: pass_time() * 1000))
    wall = SimpleNamespace(now=lambda _zone: epoch + timedelta(microseconds=pass_time()))
    monkeypatch.setattr(measuring, "datetime", wall)
    assert len(measuring._lateness(bus, measuring._QUICK)) == measuring._QUICK.delayed
    assert min(seconds_ahead) > 0
