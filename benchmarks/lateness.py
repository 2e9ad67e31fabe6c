"""How late delayed events are handled by one worker process: due at random inside 10 s, and all at one instant."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import redis

from benchmarks import lateness_app
from benchmarks.harness import LOOK_EVERY_SECONDS, parse_options
from benchmarks.processes import running
from benchmarks.server import private_redis
from eventsys import EventService

#: Seconds between scheduling and the first due time: the schedule must be whole by then.
_AHEAD_S = 4.0

#: The seconds that random due times are spread over.
_SPREAD_S = 10.0

_SEED = 1


def main() -> None:
    """Measure both, each on a fresh Redis, and say when an event was early."""
    options = parse_options(__doc__ or "", messages=10_000)
    chance = random.Random(_SEED)
    spread = [chance.uniform(0, _SPREAD_S) for _ in range(options.messages)]
    plans = {"at random": spread, "at one instant": [0.0] * max(1, options.messages // 10)}
    results = {}
    for name, offsets in plans.items():
        with private_redis(options.redis, aof=options.aof) as server:
            command = [sys.executable, "-m", "eventsys", "worker", lateness_app.__name__, "--processes", "1"]
            with running(command, {"REDIS_URL": server.url, "PYTHONPATH": str(Path.cwd())}):
                late_ms = _late_ms(server.url, offsets)
        cuts = statistics.quantiles(late_ms, n=100)
        results[name] = {
            "p50_ms": cuts[49], "p99_ms": cuts[98], "first_ms": min(late_ms), "last_ms": max(late_ms),
            "early": sum(one < 0 for one in late_ms), "events": len(late_ms),
        }  # fmt: skip
        print(f"{name}: " + ", ".join(f"{what} {figure:.2f}" for what, figure in results[name].items()), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(results))


def _late_ms(url: str, offsets: Sequence[float]) -> list[float]:
    events, client = EventService(redis_url=url, app="bench"), redis.Redis.from_url(url)
    while not client.hlen(events.broker.keys.subscriptions):
        time.sleep(LOOK_EVERY_SECONDS)
    events.publish(lateness_app.EVENT_TYPE, {"due_ms": 0})  # opens every connection of the way
    while not client.llen(lateness_app.TIMES):
        time.sleep(LOOK_EVERY_SECONDS)
    begin = events.broker.clock.now() + timedelta(seconds=_AHEAD_S)
    due = [begin + timedelta(seconds=offset) for offset in offsets]
    # Rounded up to the millisecond, as the scheduler does.
    events.delayed.schedule_many(
        {
            "event_type": lateness_app.EVENT_TYPE,
            "payload": {"due_ms": -int(-one.timestamp() * 1000 // 1)},
            "at": one,
        }
        for one in due
    )
    while client.llen(lateness_app.TIMES) <= len(offsets):
        time.sleep(LOOK_EVERY_SECONDS)
    return [int(one) / 1000 for one in client.lrange(lateness_app.TIMES, 1, -1)]


if __name__ == "__main__":
    main()
