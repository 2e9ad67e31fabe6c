"""Much of everything: does it stay up, say what is wrong, and recover? `python -m benchmarks.bounds subscriptions`.

Each check fills a Redis of its own with more of one thing than anybody should have, prints what that costs, and ends
with 1 where something that was promised did not happen.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from benchmarks.server import Server, find_server, private_redis
from eventsys import BackpressureError, Event, EventService, InvalidEventError
from eventsys.broker.joining import wait_until
from eventsys.broker.worker import Worker

WITHIN_MS = 300_000

#: What a process may keep of large payloads that it has handled, and how soon: two heartbeats.
MOST_GROWN_MIB = 80
GIVEN_BACK_WITHIN_MS = 8_000


class Check:
    """One check: a service on an empty Redis, and a worker when it is asked for one.

    Attributes:
        faults: What was promised and did not happen.
    """

    def __init__(self, server: Server, **settings: Any) -> None:
        self.faults: list[str] = []
        self.client = redis.Redis.from_url(server.url)
        self.events = EventService(redis_url=server.url, name="bounds", app="bounds", announce=False, **settings)
        self._worker: Worker | None = None
        self._memory = self._used()

    def work(self) -> None:
        """Run a worker in this process, as a worker process does."""
        self.events.broker.emit_after("process_boot")
        self._worker = Worker(self.events.broker, worker_threads=8, worker_timeout=100)
        self._worker.start()

    def stop(self) -> None:
        """End what was begun."""
        if self._worker is not None:
            self._worker.stop()
        self.events.stop()
        self.client.close()

    def rests(self) -> bool:
        """Wait until every event has ended, and say whether that was so in time."""
        return wait_until(lambda: self.client.zcard(self.events.broker.keys.pending) == 0, WITHIN_MS)

    def expect(self, holds: bool, promise: str) -> None:
        """Note a promise that was not kept."""
        print(f"  {'kept' if holds else 'BROKEN'}: {promise}", flush=True)
        if not holds:
            self.faults.append(promise)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Print how long something took, and what it left in memory here and in Redis."""
        began_at = time.monotonic()
        yield
        took_s, redis_mib = time.monotonic() - began_at, (self._used() - self._memory) / 2**20
        print(
            f"  {what}: {took_s:.2f} s; Redis +{redis_mib:.0f} MiB, this process {resident_mib():.0f} MiB", flush=True
        )

    def _used(self) -> int:
        return int(self.client.info("memory")["used_memory"])


def resident_mib() -> float:
    """Return how much memory this process has."""
    [line] = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def _take(event: Event) -> None:
    """Take an event."""


def subscriptions(server: Server, count: int) -> list[str]:
    """100,000 subscriptions, ten for each type, and one type with a thousand."""
    check = Check(server)
    for number in range(count):
        check.events.on(f"bound.type{number // 10}", name=f"subscriber-{number}")(_take)
    for number in range(min(1_000, count)):
        check.events.on("bound.crowd", name=f"crowd-{number}")(_take)
    with check.timed(f"declaring {count:,} subscriptions"):
        check.events.bus.prepare()
    check.work()
    with check.timed("the first event of a type, delivered to ten"):
        first = check.events.publish("bound.type0", {})
        record = check.events.wait(first.id, timeout="5m")
    check.expect(len(record.deliveries) == 10, "an event reaches its ten subscriptions among all")
    with check.timed("1,000 more"):
        check.events.publish_many([(f"bound.type{number % (count // 10)}", {}) for number in range(1_000)])
        rested = check.rests()
    check.expect(rested, "they are all delivered")
    with check.timed("an event for a thousand subscriptions"):
        crowd = check.events.wait(check.events.publish("bound.crowd", {}).id, timeout="5m")
    check.expect(len(crowd.deliveries) == min(1_000, count), "each of a thousand gets it")
    with check.timed("listing them all"):
        listed = len(check.events.subscriptions.list())
    check.expect(listed >= count, "they can be listed")
    with check.timed("the figures by subscription"):
        check.events.get_metrics("subscription")
    check.stop()
    return check.faults


def types(server: Server, count: int) -> list[str]:
    """10,000 event types, each with three events; counters are kept for the first thousand."""
    check = Check(server)
    check.events.on("bound.#", name="takes-all")(_take)
    check.work()
    with check.timed(f"three events of each of {count:,} types"):
        for start in range(0, 3 * count, 500):
            drafts = [
                (f"bound.type{number % count}", {"n": number}) for number in range(start, min(start + 500, 3 * count))
            ]
            check.events.publish_many(drafts)
        rested = check.rests()
    check.expect(rested, "they are all delivered")
    metrics = check.events.get_metrics("type")
    check.expect(len(metrics) <= 1_001, f"counters are bounded: {len(metrics)}")
    check.expect(check.events.get_metrics().delivered_events == 3 * count, "and the totals are whole")
    check.stop()
    return check.faults


def payloads(server: Server, count: int) -> list[str]:
    """Payloads of a MiB: refused unless allowed, and then handled without the process holding many of them."""
    text = "x" * (2**20 - 100)
    check = Check(server)
    try:
        check.events.publish("bound.big", {"text": text})
    except InvalidEventError as error:
        check.expect("the limit is 262144" in str(error), "a MiB is refused, and the error says why")
    else:
        check.expect(False, "a MiB is refused")
    check.stop()
    check = Check(server, max_payload_bytes=2**20)
    check.events.on("bound.big", name="takes-big")(_take)
    with check.timed(f"storing {count} of them"):
        for _ in range(count):
            check.events.publish("bound.big", {"text": text})
    before = resident_mib()
    check.work()
    with check.timed("handling them"):
        rested = check.rests()
    check.expect(rested, "they are all delivered")
    most = resident_mib() - before
    wait_until(lambda: resident_mib() - before < MOST_GROWN_MIB, GIVEN_BACK_WITHIN_MS)
    grown = resident_mib() - before
    promise = f"of {count} MiB that it handled the process held {most:.0f} in the end, and keeps {grown:.0f}"
    check.expect(grown < MOST_GROWN_MIB, promise)
    check.stop()
    return check.faults


def memory(server: Server, count: int) -> list[str]:
    """A Redis that fills up: publishing is refused by a clear error, what is stored is handled, and then it goes on."""
    check = Check(server, retention="1m", retention_count=1_000)
    check.events.on("bound.fill", name="takes-it")(_take)
    check.client.config_set("maxmemory", int(check.client.info("memory")["used_memory"]) + 40 * 2**20)
    stored = 0
    with check.timed("filling it"):
        try:
            while stored < 1_000_000:
                check.events.publish_many([("bound.fill", {"text": "x" * 1_000})] * count)
                stored += count
        except BackpressureError as error:
            print(f"  after {stored:,} events: {error}")
    check.work()
    with check.timed("handling what is stored"):
        rested = check.rests()
    check.expect(rested, "what is stored is handled, though Redis is full")
    check.client.config_set("maxmemory", 0)
    check.events.publish("bound.fill", {})
    check.expect(check.rests(), "it goes on when there is room again")
    totals = check.events.get_metrics()
    check.expect((totals.succeeded, totals.dead) == (stored + 1, 0), "every event that was accepted has succeeded once")
    check.stop()
    return check.faults


#: Each check, how much of it, and how much where it is only to be seen to run.
CHECKS: dict[str, tuple[Callable[[Server, int], list[str]], int, int]] = {
    "subscriptions": (subscriptions, 100_000, 100),
    "types": (types, 10_000, 1_200),
    "payloads": (payloads, 300, 10),
    "memory": (memory, 500, 500),
}


def main(given: list[str] | None = None) -> int:
    """Carry out the checks that are asked for, and return 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds", description=__doc__)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"{', '.join(CHECKS)}; default: all")
    parser.add_argument("--count", type=int, help="how much of it; default: as each says")
    parser.add_argument("--smoke", action="store_true", help="little of each, to see that it runs")
    options = parser.parse_args(given)
    if unknown := set(options.checks) - CHECKS.keys():
        parser.error(f"no such check: {', '.join(unknown)}")
    faults: list[str] = []
    for name in options.checks or CHECKS:
        check, usual, little = CHECKS[name]
        print(f"{name}: {check.__doc__}", flush=True)
        with private_redis(find_server(), aof=True) as server:
            faults += check(server, options.count or (little if options.smoke else usual))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
