"""Whether a bus that has grown is slower than an empty one: recorded events, subscriptions of other types, types."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import redis

from benchmarks import growth_app
from benchmarks.harness import Options, Result, Run, flow, parse_options
from benchmarks.history_builder import HistoryBuilder
from benchmarks.report import report
from benchmarks.server import Server, private_redis
from benchmarks.workload import PAYLOAD, SUBSCRIBERS
from eventsys import EventService

#: Events of one `publish_many`, as in `benchmarks.fanout`.
_BATCH = 50

#: What the bus has grown to, in a run that is no smoke.
_RECORDED, _SUBSCRIPTIONS, _TYPES = 1_000_000, 10_000, 1_000

#: The setting of how many events a history holds. Where it is full, as many leave it as come.
_MOST = "EVENTSYS_RETENTION_COUNT"

#: A run of fewer messages proves that the benchmark works, and the bus grows by as many.
_LEAST_MESSAGES = 1_000


class Bus:
    """A bus in one of the states that are compared.

    Args:
        name: What the table says.
        recorded: Events in its history, each with three deliveries.
        is_full: Whether the history holds no more than that.
        subscriptions: Subscriptions of other types.
        types: Of the events that are published, in turn.
    """

    deliveries_per_message = SUBSCRIBERS
    pace = 5

    def __init__(
        self, name: str, *, recorded: int = 0, is_full: bool = False, subscriptions: int = 0, types: int = 1
    ) -> None:
        self.name = name
        self._recorded, self._subscriptions, self._types = recorded, subscriptions, types
        self._most = recorded if is_full else 10 * _RECORDED
        self._published = 0

    @property
    def is_kept(self) -> bool:
        """Whether one Redis is used in all rounds, because its history takes long to build."""
        return self._recorded > 0

    def grow(self, url: str) -> None:
        """Bring a new bus into its state."""
        if self._recorded:
            HistoryBuilder(EventService(redis_url=url, app="bench"), self._recorded).build()
        if self._subscriptions:
            growth_app.subscribe_others(url, self._subscriptions)

    def prepare(self, url: str) -> None:
        """Connect to a bus that has its state."""
        os.environ[_MOST] = str(self._most)
        self._events = growth_app.declare(url)
        self._client = redis.Redis.from_url(url)
        self._done_before = self._ended()

    def enqueue(self, count: int) -> None:
        """Publish."""
        for start in range(0, count, _BATCH):
            numbers = range(self._published + start, self._published + min(start + _BATCH, count))
            self._events.publish_many([(f"bench.type{number % self._types}", PAYLOAD) for number in numbers])
        self._published += count

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return the command of its worker."""
        return [growth_app.worker()]

    def done(self) -> int:
        """Return how many deliveries have succeeded in this run."""
        return self._ended() - self._done_before

    def _ended(self) -> int:
        return int(self._client.hget(self._events.broker.keys.counts, "deliveries_succeeded") or 0)  # type: ignore[arg-type]


def main() -> None:
    """Measure a history, a full one, more subscriptions, more types, and all at once, against the empty bus."""
    options = parse_options(__doc__ or "", messages=4_000)
    is_smoke = options.messages < _LEAST_MESSAGES
    recorded, subscriptions, types = [options.messages] * 3 if is_smoke else [_RECORDED, _SUBSCRIPTIONS, _TYPES]
    buses = [
        Bus("all at once", recorded=recorded, subscriptions=subscriptions, types=types),
        Bus("all at once, and full", recorded=recorded, is_full=True, subscriptions=subscriptions, types=types),
        Bus(f"{recorded:,} recorded events", recorded=recorded),
        Bus("as many, and full", recorded=recorded, is_full=True),
        Bus(f"{subscriptions:,} subscriptions", subscriptions=subscriptions),
        Bus(f"{types:,} types", types=types),
        Bus("an empty bus"),
    ]
    report("One event to three subscribers, on a bus that has grown", _race(buses, options), options)


def _race(buses: Sequence[Bus], options: Options) -> list[Result]:
    runs: dict[str, list[Run]] = {bus.name: [] for bus in buses}
    with contextlib.ExitStack() as stack:
        kept = {bus.name: _grown(stack, bus, options) for bus in buses if bus.is_kept}
        for _ in range(options.rounds):
            for bus in buses:
                with contextlib.ExitStack() as round_stack:
                    server = kept.get(bus.name) or _grown(round_stack, bus, options)
                    bus.prepare(server.url)
                    runs[bus.name].append(flow(bus, server, options.messages * bus.pace))
        return [Result(bus.name, tuple(runs[bus.name]), server.version) for bus in buses]


def _grown(stack: contextlib.ExitStack, bus: Bus, options: Options) -> Server:
    server = stack.enter_context(private_redis(options.redis, aof=options.aof))
    bus.grow(server.url)
    return server


if __name__ == "__main__":
    main()
