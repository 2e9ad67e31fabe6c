"""The measurements of `eventsys bench`, one after the other."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from eventsys.model.bench_result import BenchResult, Spread
from eventsys.runtime.bench.bench_bus import THREADS, BenchBus, bench_bus
from eventsys.settings import Settings

#: 200 bytes of JSON.
_PAYLOAD = {"user_id": "12345", "note": "x" * 165}
_BATCH = 100
_SUBSCRIBERS = 3


@dataclass(frozen=True)
class _Scale:
    """How much is done: everything together takes less than a minute, and a quick run a few seconds.

    Attributes:
        publish_s: Seconds of each way to publish.
        flow: Events of the fan-out.
        timed: Events of the latency, `pause_s` seconds apart.
        delayed: Delayed events, due evenly over `window_s` seconds, the first after `lead_s` seconds.
        kills: Whether a worker is killed, which takes as long as a takeover.
    """

    publish_s: float = 2.0
    flow: int = 5_000
    timed: int = 250
    pause_s: float = 0.02
    delayed: int = 1_000
    lead_s: float = 2.0
    window_s: float = 5.0
    kills: bool = True


_QUICK = _Scale(publish_s=0.1, flow=100, timed=10, delayed=20, lead_s=1.0, window_s=0.5, kills=False)


def measure(settings: Settings, *, quick: bool = False, tell: Callable[[str], None] = lambda _: None) -> BenchResult:
    """Measure on a bus of a new name, of which nothing is left.

    Args:
        settings: Which Redis.
        quick: A few seconds, without killing a worker: enough to see that it works, too little for its figures.
        tell: Called with what is measured next.

    Raises:
        BenchError: If a worker does not do what was to be measured.
        RedisUnavailableError: If Redis does not answer.
    """
    scale = _QUICK if quick else _Scale()
    with bench_bus(settings) as bus:
        tell("publishing")
        single, many = _publish_rate(bus, scale), _publish_many_rate(bus, scale)
    # Another bus: what nobody has handled of that one would keep the dispatcher busy.
    with bench_bus(settings) as bus, bus.worker() as first:
        tell("starting a worker")
        _publish_timed(bus)
        bus.take_notes("times", 1)
        tell("latency")
        latency = _latency(bus, scale)
        tell("fan-out")
        deliveries = _fan_out_rate(bus, scale)
        tell("delayed events")
        late = _lateness(bus, scale)
        recovery = None
        if scale.kills:
            tell("killing a worker")
            recovery = _recovery(bus, first.pid)
        return BenchResult(
            redis_version=_info(bus, "server", "redis_version"),
            is_persistent=_info(bus, "persistence", "aof_enabled") == "1",
            threads=THREADS,
            publish_per_s=single,
            publish_many_per_s=many,
            deliveries_per_s=deliveries,
            latency=latency,
            lateness=_spread(late),
            early=sum(late_us < 0 for late_us in late),
            recovery_s=recovery,
        )


def _publish_rate(bus: BenchBus, scale: _Scale) -> float:
    return _rate(lambda: bus.events.publish("bench.stored", _PAYLOAD), 1, scale.publish_s)


def _publish_many_rate(bus: BenchBus, scale: _Scale) -> float:
    batch = [("bench.stored", _PAYLOAD)] * _BATCH
    return _rate(lambda: bus.events.publish_many(batch), _BATCH, scale.publish_s)


def _rate(step: Callable[[], Any], size: int, seconds: float) -> float:
    """Return how many a second: `step` makes `size` of them, the first time without being counted."""
    step()
    began, made = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds or not made:
        step()
        made += size
    return made / took if took else 0.0


def _publish_timed(bus: BenchBus) -> None:
    bus.events.publish("bench.timed", {**_PAYLOAD, "at_us": time.monotonic_ns() // 1000})


def _latency(bus: BenchBus, scale: _Scale) -> Spread:
    late: list[int] = []
    for _ in range(scale.timed):
        time.sleep(scale.pause_s)
        _publish_timed(bus)
        late += map(int, bus.take_notes("times", 1))
    return _spread(late)


def _fan_out_rate(bus: BenchBus, scale: _Scale) -> float:
    counts = bus.events.broker.keys.counts

    def succeeded() -> int:
        return int(bus.call("HGET", counts, "deliveries_succeeded") or 0)

    before, began = succeeded(), time.perf_counter()
    for start in range(0, scale.flow, _BATCH):
        bus.events.publish_many([("bench.fan", _PAYLOAD)] * min(_BATCH, scale.flow - start))
    deliveries = scale.flow * _SUBSCRIBERS
    bus.wait_until(lambda: succeeded() - before >= deliveries, f"{deliveries} deliveries")
    return deliveries / (time.perf_counter() - began)


def _lateness(bus: BenchBus, scale: _Scale) -> list[int]:
    """Return by how many microseconds each delayed event was late."""
    for number in range(scale.delayed):
        # For each anew, so that none is past when it is scheduled, however long all of them take. And in this order:
        # had this process to wait between the two, the event would seem later than it is, and never early.
        monotonic_us, wall = time.monotonic_ns() // 1000, datetime.now(UTC)
        # Delays are kept in whole milliseconds, so both clocks count them from a whole one.
        after_ms = round((scale.lead_s + scale.window_s * number / scale.delayed) * 1000)
        due = wall + timedelta(milliseconds=after_ms)
        bus.events.schedule("bench.timed", {**_PAYLOAD, "at_us": monotonic_us + after_ms * 1000}, at=due)
    return [int(late_us) for late_us in bus.take_notes("times", scale.delayed)]


def _recovery(bus: BenchBus, supervisor: int) -> float:
    """Return the seconds from killing a worker in a handler until another one begins to run that handler."""
    events = bus.events
    events.publish("bench.held", {})
    pid = int(bus.notes("held", 1)[0].split()[0])
    with bus.worker():
        # The other worker is there when it has said so in Redis; until then the killed one's work would wait for it.
        bus.wait_until(lambda: len(events.machinery.processes()) > 1, "a second worker")
        killed = time.monotonic()
        for victim in (supervisor, pid):  # the supervisor first: it would put another process in the place of its own
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        return float(bus.notes("held", 2)[1].split()[1]) - killed


def _spread(times_us: Sequence[int]) -> Spread:
    cuts = statistics.quantiles(times_us, n=100, method="inclusive")
    return Spread(p50_ms=cuts[49] / 1000, p99_ms=cuts[98] / 1000, count=len(times_us))


def _info(bus: BenchBus, section: str, field: str) -> str:
    text = bytes(bus.call("INFO", section)).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)[field]
