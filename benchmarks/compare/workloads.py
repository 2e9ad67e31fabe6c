"""What every system is made to do, and which figures come out of it."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from benchmarks.compare.contestant import Contestant
from benchmarks.harness import RunFailed, drain, flow, wait_until_done, working
from benchmarks.peers.counting import TIMES_KEY
from benchmarks.processes import cpu_seconds, memory_share_bytes
from benchmarks.server import Server
from benchmarks.workload import SUBSCRIBERS

Figures = dict[str, float]

#: Where most systems keep times in whole milliseconds, less than one is no earliness.
_EARLY_US = -1000


@dataclass(frozen=True)
class Scale:
    """How much is done. The smoke scale proves that everything works, and measures nothing.

    Attributes:
        seconds: How long a run should last, for a system as fast as it was expected to be.
        least: Fewest messages of a run.
        sends: Messages that are sent one by one.
        timed: Events whose latency is taken.
        pause_s: Between two of them.
        delayed: Delayed messages, due evenly over `window_s` seconds, the first after `lead_s` seconds.
        seldom: The same with so few that every peer can handle them as they come.
        pending: Messages due in an hour.
        pending_limit_s: When putting them in is cut short.
        idle_s: How long an idle worker is watched.
    """

    seconds: float = 5
    least: int = 1_000
    sends: int = 5_000
    timed: int = 300
    pause_s: float = 0.05
    delayed: int = 10_000
    seldom: int = 500
    lead_s: float = 15
    window_s: float = 10
    pending: int = 1_000_000
    pending_limit_s: float = 300
    idle_s: float = 20


SMOKE = Scale(
    seconds=0, least=200, sends=50, timed=10, pause_s=0.02, delayed=50, seldom=10, lead_s=2, window_s=1, pending=500,
    pending_limit_s=10, idle_s=2,
)  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """One thing to do.

    Attributes:
        name: For the command line and the JSON.
        title: Of its table.
        run: Does it with a contestant that is connected to an empty Redis.
        columns: Each figure and its heading; the first is what the table is about.
        more_is_better: Of the first figure.
        processes: Worker processes.
        deliveries_per_message: Handlers that each message reaches.
        needs_delays: Whether messages are delayed.
        most_rounds: Where a run is long and its figure steady.
        settings_matter: Whether it depends on how the worker runs; else each peer does it at its first setting only.
    """

    name: str
    title: str
    run: Callable[[Contestant, Server, Scale], Figures]
    columns: Sequence[tuple[str, str]]
    more_is_better: bool = True
    processes: int = 1
    deliveries_per_message: int = 1
    needs_delays: bool = False
    most_rounds: int = 100
    settings_matter: bool = True


def _count(contestant: Contestant, scale: Scale) -> int:
    wanted = contestant.setting.about_per_s * scale.seconds * contestant.processes
    return max(scale.least, round(wanted / contestant.deliveries_per_message))


def _enqueue_single(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    return _send(contestant, server, "single", scale.sends)


def _enqueue_batch(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    return _send(contestant, server, "batch", scale.sends * 4)


def _send(contestant: Contestant, server: Server, way: str, count: int) -> Figures:
    contestant.order(way, handler="noop", count=max(10, count // 50))
    used = cpu_seconds(server.pid)
    sent = contestant.order(way, handler="noop", count=count)
    redis_us = (cpu_seconds(server.pid) - used) / count * 1e6
    sender_us = sent["cpu_seconds"] / count * 1e6
    return {"per_s": sent["sent"] / sent["seconds"], "sender_cpu_us": sender_us, "redis_cpu_us": redis_us}


def _drain(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    return dataclasses.asdict(drain(contestant, server, _count(contestant, scale)))


def _fan_out(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    return dataclasses.asdict(flow(contestant, server, _count(contestant, scale)))


def _latency(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    with working(contestant, server) as workers:
        contestant.order("timed", count=1, pause_s=0)
        wait_until_done(contestant, workers, 1)
        first = max(2, scale.timed // 20)
        contestant.order("timed", count=first, pause_s=scale.pause_s)
        wait_until_done(contestant, workers, 1 + first)
        _times(contestant, 1 + first)
        contestant.order("timed", count=scale.timed, pause_s=scale.pause_s)
        wait_until_done(contestant, workers, 1 + first + scale.timed)
        return _spread(_times(contestant, scale.timed))


def _delayed(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    return _lateness(contestant, server, scale.delayed, lead_s=scale.lead_s, window_s=scale.window_s)


def _seldom(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    return _lateness(contestant, server, scale.seldom, lead_s=min(5, scale.lead_s), window_s=scale.window_s)


def _lateness(contestant: Contestant, server: Server, count: int, *, lead_s: float, window_s: float) -> Figures:
    with working(contestant, server) as workers:
        contestant.order("timed", count=1, pause_s=0)
        wait_until_done(contestant, workers, 1)
        _times(contestant, 1)
        sent = contestant.order("delayed", count=count, lead_s=lead_s, window_s=window_s)
        if sent["seconds"] > lead_s:
            raise RunFailed(f"putting {count:,} in took {sent['seconds']:.0f} s: the first were due before")
        # Taskiq's scheduler looks at its source once a minute unless told otherwise.
        wait_until_done(contestant, workers, 1 + count, stuck_s=lead_s + 120)
        times = _times(contestant, count)
    early = sum(time_us < _EARLY_US for time_us in times)
    return {**_spread(times), "early": early, "schedule_per_s": sent["sent"] / sent["seconds"]}


def _pending(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    contestant.order("far", count=100, limit_s=scale.pending_limit_s)
    with redis.Redis.from_url(server.url) as client:
        before = client.info("memory")["used_memory"]  # type: ignore[index]
        sent = contestant.order("far", count=scale.pending, limit_s=scale.pending_limit_s)
        after = client.info("memory")["used_memory"]  # type: ignore[index]
    return {
        "bytes_each": (after - before) / sent["sent"],
        "per_s": sent["sent"] / sent["seconds"],
        "pending": sent["sent"],
    }


def _idle(contestant: Contestant, server: Server, scale: Scale) -> Figures:
    with working(contestant, server) as workers, redis.Redis.from_url(server.url) as client:
        contestant.enqueue(1)
        wait_until_done(contestant, workers, 1)
        time.sleep(min(3, scale.idle_s))  # the counting thread of the handlers ends, and so does what starting began
        began, used = time.monotonic(), sum(cpu_seconds(worker.pid) for worker in workers)
        before = _totals(client)
        time.sleep(scale.idle_s)
        seconds = time.monotonic() - began
        # One of each is the question before.
        requests, commands = (now - then - 1 for now, then in zip(_totals(client), before, strict=True))
        return {
            "requests_per_s": requests / seconds,
            "commands_per_s": commands / seconds,
            "cpu_percent": (sum(cpu_seconds(worker.pid) for worker in workers) - used) / seconds * 100,
            "worker_mib": sum(memory_share_bytes(worker.pid) for worker in workers) / 2**20,
        }


def _totals(client: redis.Redis) -> tuple[int, int]:
    """Return how many requests Redis ever read, and how many commands it ran for them, those of scripts included."""
    stats = client.info("stats")
    return int(stats["total_reads_processed"]), int(stats["total_commands_processed"])  # type: ignore[index]


def _times(contestant: Contestant, count: int) -> list[int]:
    """Return the times of so many calls; the counter of calls and the list are written together."""
    times = contestant.times_us()
    if len(times) < count:
        raise RunFailed(f"{contestant.name} noted {len(times)} of {count} times in {TIMES_KEY}")
    return times


def _spread(times_us: Sequence[int]) -> Figures:
    cuts = statistics.quantiles(times_us, n=100, method="inclusive")
    return {"p50_ms": cuts[49] / 1000, "p99_ms": cuts[98] / 1000}


_RATE = ("deliveries_per_s", "deliveries/s")
_COSTS = (("worker_cpu_us", "worker CPU µs"), ("redis_cpu_us", "Redis CPU µs"), ("worker_mib", "worker MiB"))
_SPREAD = (("p50_ms", "p50 ms"), ("p99_ms", "p99 ms"))
_LATE = (("p99_ms", "p99 ms"), ("p50_ms", "p50 ms"), ("early", "early"), ("schedule_per_s", "scheduled/s"))
_SENT = (("per_s", "messages/s"), ("sender_cpu_us", "sender CPU µs"), ("redis_cpu_us", "Redis CPU µs"))

WORKLOADS = (
    Workload("enqueue-single", "Sending one by one", _enqueue_single, _SENT),
    Workload("enqueue-batch", "Sending many at once", _enqueue_batch, _SENT),
    Workload("drain", "Emptying a full queue, one process", _drain, (_RATE, *_COSTS)),
    Workload("drain-two", "Emptying a full queue, two processes", _drain, (_RATE, *_COSTS), processes=2),
    Workload(
        "fan-out", "One event to three subscribers, while publishing", _fan_out, (_RATE, *_COSTS),
        deliveries_per_message=SUBSCRIBERS,
    ),
    Workload("latency", "From sending to the handler, at low load", _latency, _SPREAD, more_is_better=False),
    Workload(
        "delayed", "Delayed messages, a thousand a second: how late", _delayed, _LATE, more_is_better=False,
        needs_delays=True, most_rounds=3,
    ),
    Workload(
        "delayed-seldom", "Delayed messages, fifty a second: how late", _seldom, _LATE, more_is_better=False,
        needs_delays=True, most_rounds=3,
    ),
    Workload(
        "pending", "Messages that wait for an hour to pass", _pending,
        (("bytes_each", "bytes each"), ("per_s", "scheduled/s"), ("pending", "messages")),
        more_is_better=False, needs_delays=True, most_rounds=1, settings_matter=False,
    ),
    Workload(
        "idle", "An idle worker", _idle,
        (
            ("requests_per_s", "requests/s"),
            ("commands_per_s", "commands/s"),
            ("cpu_percent", "worker CPU %"),
            ("worker_mib", "worker MiB"),
        ),
        more_is_better=False, most_rounds=3,
    ),
)  # fmt: skip
