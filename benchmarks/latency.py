"""From publish to handler on an idle system, through the dispatcher: one event at a time, one worker process."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import redis

from benchmarks import latency_app
from benchmarks.harness import parse_options
from benchmarks.processes import running
from benchmarks.server import private_redis
from eventsys import EventService

#: Seconds between two events: long enough that nothing of the one before is under way.
_PAUSE_S = 0.02

#: Events before the first that counts: connections open and caches fill with them.
_FIRST = 20


def main() -> None:
    """Measure the eventsys worker, then the stock dramatiq command."""
    options = parse_options(__doc__ or "", messages=500, smoke_messages=20)
    commands = {
        "eventsys worker": ["-m", "eventsys", "worker", latency_app.__name__, "--processes", "1"],
        "dramatiq command": ["-m", "dramatiq", latency_app.__name__, "--processes", "1", "--threads", "8"],
    }
    results = {}
    for name, command in commands.items():
        with private_redis(options.redis, aof=options.aof) as server:
            environment = {"REDIS_URL": server.url, "PYTHONPATH": str(Path.cwd())}
            with running([sys.executable, *command], environment):
                times = _times(server.url, options.messages)
        cuts = statistics.quantiles(times, n=100)
        results[name] = {"p50_ms": cuts[49], "p99_ms": cuts[98], "events": len(times)}
        print(f"{name}: p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms over {len(times)} events, Redis {server.version}")
    if options.json is not None:
        options.json.write_text(json.dumps(results))


def _times(url: str, count: int) -> list[float]:
    events, client = EventService(redis_url=url, app="bench"), redis.Redis.from_url(url)
    while not client.hlen(events.broker.keys.subscriptions):
        time.sleep(_PAUSE_S)
    for number in range(_FIRST + count):
        events.publish(latency_app.EVENT_TYPE, {"published_ns": time.monotonic_ns()})
        while client.llen(latency_app.TIMES) <= number:
            time.sleep(_PAUSE_S / 10)
        time.sleep(_PAUSE_S)
    return [int(taken) / 1e6 for taken in client.lrange(latency_app.TIMES, _FIRST, -1)]


if __name__ == "__main__":
    main()
