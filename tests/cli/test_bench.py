"""`eventsys bench`."""

from __future__ import annotations

from collections.abc import Callable

import redis

from eventsys import EventService
from eventsys.model.bench_result import BenchResult


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
