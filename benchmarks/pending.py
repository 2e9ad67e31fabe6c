"""A million delayed events, half far away: how fast they are scheduled, what one costs, how quick changes are."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from benchmarks import own_app
from benchmarks.harness import LOOK_EVERY_SECONDS, parse_options
from benchmarks.processes import memory_bytes, running
from benchmarks.server import private_redis
from benchmarks.workload import PAYLOAD
from eventsys import EventFilter, EventService

#: Events of one `schedule_many`, and how many changes are timed.
_BATCH, _CHANGES = 500, 2_000

#: Seconds until the near half is due at the earliest, and at the latest; the far half is due within 30 days.
_NEAR_S, _FAR_S = (1800.0, 3500.0), (7200.0, 30 * 86400.0)

_SEED = 1


def main() -> None:
    """Schedule beside an idle worker, then cancel, reschedule and list."""
    options = parse_options(__doc__ or "", messages=1_000_000, smoke_messages=2_000)
    with private_redis(options.redis, aof=options.aof) as server:
        command = own_app.own_worker()
        with running(command, {"REDIS_URL": server.url, "PYTHONPATH": str(Path.cwd())}) as worker:
            client = redis.Redis.from_url(server.url)
            events = EventService(redis_url=server.url, app="bench")
            while not client.hlen(events.broker.keys.subscriptions):
                time.sleep(LOOK_EVERY_SECONDS)
            time.sleep(2.0)  # the worker's caches fill
            before, worker_before = _used(client), memory_bytes(worker.pid)
            ids, seconds = _schedule(events, options.messages)
            figures = {
                "events": len(ids),
                "per_second": len(ids) / seconds,
                "bytes_each": (_used(client) - before) / len(ids),
                **_changes(events, ids),
                "worker_grew_mib": (memory_bytes(worker.pid) - worker_before) / 2**20,
            }
    print(", ".join(f"{name} {figure:.2f}" for name, figure in figures.items()), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(figures))


def _schedule(events: EventService, count: int) -> tuple[list[str], float]:
    chance, ids, seconds = random.Random(_SEED), list[str](), 0.0
    for start in range(0, count, _BATCH):
        bounds = _NEAR_S if start // _BATCH % 2 else _FAR_S
        batch: list[dict[str, Any]] = [
            {"event_type": "bench.later", "payload": PAYLOAD, "delay": chance.uniform(*bounds)}
            for _ in range(min(_BATCH, count - start))
        ]
        began = time.perf_counter()
        made = events.delayed.schedule_many(batch)
        seconds += time.perf_counter() - began
        ids += [one.id for one in made]
    return ids, seconds


def _changes(events: EventService, ids: list[str]) -> dict[str, float]:
    chosen = random.Random(_SEED).sample(ids, min(2 * _CHANGES, len(ids)))
    half = len(chosen) // 2
    first_page = EventFilter(page_size=50)
    return {
        "cancel_p99_ms": _p99_ms(events.cancel, chosen[:half]),
        "reschedule_p99_ms": _p99_ms(lambda one: events.reschedule(one, delay="40m"), chosen[half:]),
        "first_page_ms": _p99_ms(lambda _: events.get_delayed_events(first_page), [""] * 100),
    }


def _p99_ms(do: Callable[[str], object], given: list[str]) -> float:
    times = []
    for one in given:
        began = time.perf_counter()
        do(one)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.quantiles(times, n=100)[98]


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
