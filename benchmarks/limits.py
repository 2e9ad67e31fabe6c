"""What a limit costs: one event to three subscriptions while publishing, without and with limits, in one run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import redis

from benchmarks.gated_app import declare
from benchmarks.harness import PAYLOAD, flow, parse_options, race
from benchmarks.own_app import EVENT_TYPE
from benchmarks.peers.dramatiq_app import SUBSCRIBERS, THREADS
from benchmarks.report import report

#: Events of one `publish_many`.
_BATCH = 50


class Gated:
    """Publishes events to three subscriptions of the same options.

    Args:
        name: What the table says.
        options: Of each subscription.
        pause: Whether the subscriptions are paused while everything is published, and resumed then.
    """

    deliveries_per_message = SUBSCRIBERS
    pace = 1

    def __init__(self, name: str, *, pause: bool = False, **options: object) -> None:
        self.name = name
        self._options = json.dumps(options)
        self._pause = pause

    def prepare(self, url: str) -> None:
        """Declare the application anew."""
        os.environ["BENCH_OPTIONS"] = self._options
        self._events = declare(url)
        self._client = redis.Redis.from_url(url)
        self._events.bus.prepare()

    def enqueue(self, count: int) -> None:
        """Publish."""
        self._each("pause", count)
        for start in range(0, count, _BATCH):
            self._events.publish_many([(EVENT_TYPE, PAYLOAD)] * min(_BATCH, count - start))
        self._each("resume", count)

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return the command of one worker process."""
        module = "benchmarks.gated_app"
        return [[sys.executable, "-m", "eventsys", "worker", module, "--processes", "1", "--threads", str(THREADS)]]

    def done(self) -> int:
        """Return how many deliveries have succeeded."""
        counts = self._events.broker.keys.counts
        return int(self._client.hget(counts, "deliveries_succeeded") or 0)  # type: ignore[arg-type]

    def _each(self, verb: str, count: int) -> None:
        for number in range(SUBSCRIBERS if self._pause and count > 1 else 0):
            getattr(self._events.subscriptions, verb)(f"subscriber_{number}")


def main() -> None:
    """Measure subscriptions without limits against those with."""
    options = parse_options(__doc__ or "", messages=6_000)
    contestants = [
        Gated("no limits"),
        Gated("breaker, closed", breaker=5),
        Gated("concurrency 1000, not reached", concurrency=1000),
        Gated("concurrency 16, reached", concurrency=16),
        Gated("rate 1000000/s, not reached", rate="1000000/s"),
        Gated("paused, then resumed", pause=True),
    ]
    report("what limits cost, deliveries to three subscriptions", race(contestants, flow, options), options)


if __name__ == "__main__":
    main()
