"""Dramatiq on its RedisBroker, in its own environment.

- `default`: the `dramatiq` command with its defaults: 8 threads, two messages prefetched for each thread.
- `tuned`: `dramatiq_queue_prefetch=1000` and `dramatiq_delay_queue_prefetch=20000`. The reference
  (https://dramatiq.io/reference.html, "Environment Variables") names them as what sets how many messages a worker
  holds. Other numbers of threads are in `--others`. Prometheus is in neither: its middleware is not a default one.

No call sends several messages: `group(...).run()` sends one by one. One event for three actors is three sends. Delays
are Dramatiq's own (`send_with_options(delay=...)`): the worker keeps the messages in its memory until they are due.
"""

from __future__ import annotations

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import SUBSCRIBERS, THREADS

broker = RedisBroker(url=os.environ["REDIS_URL"])
dramatiq.set_broker(broker)
counter = Counter()


def noop(payload: Payload) -> None:
    """Count."""
    counter.count()


ACTORS = {
    name: dramatiq.actor(actor_name=name, broker=broker)(noop)
    for name in ("noop", *(f"fan_{number}" for number in range(SUBSCRIBERS)))
}
ACTORS["timed"] = dramatiq.actor(actor_name="timed", broker=broker)(counter.time)


class DramatiqSender(Sender):
    """Sends by `actor.send`."""

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        ACTORS[handler].send(payload)

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Send one with a delay; Dramatiq has no moment, so it is what is left until then."""
        ACTORS[handler].send_with_options(args=(payload,), delay=max(0, due_ms - time.time_ns() // 1_000_000))


def worker_command(processes: int) -> list[str]:
    """Return the command of the workers."""
    setting = os.environ["PEER_SETTING"]
    if setting.startswith("tuned"):
        os.environ["dramatiq_queue_prefetch"] = "1000"  # noqa: SIM112 - spelled as Dramatiq reads it
        os.environ["dramatiq_delay_queue_prefetch"] = "20000"  # noqa: SIM112
    threads = {"tuned, 1 thread": 1, "tuned, 2 threads": 2}.get(setting, THREADS)
    module = "benchmarks.peers.dramatiq_compared"
    return ["dramatiq", module, "--processes", str(processes), "--threads", str(threads)]


SENDER = DramatiqSender
