"""What an idle worker process costs: commands and requests it sends to Redis each second, and its processor time.

Measured with one worker command, whose poller leads, and with a second one beside it: what that adds is the cost of a
process whose poller does not lead. Each is what a user starts: a supervisor and one worker process.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks import own_app
from benchmarks.harness import LOOK_EVERY_SECONDS, parse_options
from benchmarks.processes import cpu_seconds, running
from benchmarks.server import private_redis

#: Seconds after the start until a worker is idle: it has looked at everything once, and declared what it hosts.
_SETTLED_S = 8.0

#: Commands of the benchmark itself, which count for nobody.
_OWN = frozenset({"info", "config|resetstat"})


@dataclass(frozen=True)
class _Look:
    """What Redis and the workers have done so far; `calls` has commands sent and those that scripts run."""

    calls: Counter[str]
    requests: int
    cpu_s: float
    at: float


def main() -> None:
    """Measure the leader alone, then what a second process adds."""
    options = parse_options(__doc__ or "", messages=60, smoke_messages=2)
    figures: dict[str, dict[str, float]] = {}
    with private_redis(options.redis, aof=options.aof) as server, contextlib.ExitStack() as stack:
        client = redis.Redis.from_url(server.url)
        environment = {"REDIS_URL": server.url, "PYTHONPATH": str(Path.cwd())}
        keys = own_app.declare(server.url).events.broker.keys
        workers, before = list[int](), Counter[str]()
        for number, name in enumerate(["leader", "second"], start=1):
            workers.append(stack.enter_context(running(own_app.own_worker(), environment)).pid)
            while int(client.zcard(keys.processes)) < number:
                time.sleep(LOOK_EVERY_SECONDS)
            time.sleep(min(_SETTLED_S, options.messages))
            rates = _rates(client, workers, options.messages)
            figures[name] = {what: rate - before[what] for what, rate in rates.items()}
            before = rates
            _tell(name, figures[name])
    if options.json is not None:
        options.json.write_text(json.dumps(figures))


def _rates(client: redis.Redis, workers: list[int], seconds: float) -> Counter[str]:
    """Return what is done in a second, of everything."""
    before = _look(client, workers)
    time.sleep(seconds)
    after = _look(client, workers)
    passed = after.at - before.at
    rates = Counter({name: (after.calls[name] - before.calls[name]) / passed for name in after.calls})
    rates["all commands"] = sum(rates.values())
    rates["requests"] = (after.requests - before.requests - 1) / passed
    rates["cpu percent"] = (after.cpu_s - before.cpu_s) / passed * 100
    return rates


def _look(client: redis.Redis, workers: list[int]) -> _Look:
    stats = client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): int(told["calls"]) for name, told in stats.items()}  # type: ignore[union-attr]
    requests = int(client.info("stats")["total_reads_processed"])  # type: ignore[index]
    used = sum(cpu_seconds(pid) for pid in workers)
    return _Look(
        Counter({name: count for name, count in calls.items() if name not in _OWN}), requests, used, time.monotonic()
    )


def _tell(name: str, figures: dict[str, float]) -> None:
    totals = ("all commands", "requests", "cpu percent")
    print(f"{name}: " + ", ".join(f"{what} {figures[what]:.2f}" for what in totals), flush=True)
    most = sorted((item for item in figures.items() if item[0] not in totals), key=lambda item: -item[1])
    print("  " + ", ".join(f"{what} {rate:.2f}" for what, rate in most if rate >= 0.01), flush=True)


if __name__ == "__main__":
    sys.exit(main())
