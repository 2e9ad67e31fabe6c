"""Huey on Redis.

- `default`: RedisHuey and `huey_consumer` with their defaults: one thread, a blocking pop, the schedule each second.
- `tuned`: `--workers 2 --worker-type thread`, `--quiet`, `--disable-health-check` and `--no-periodic`
  (https://huey.readthedocs.io/en/latest/consumer.html, "Options for the consumer"), and `results=False`
  (https://huey.readthedocs.io/en/latest/api.html, "Huey"): no result is kept.
  Of 1, 2 and 8 threads two make most of tasks that do nothing; more wait for each other.

There is no call that sends several tasks. One event for three tasks is three sends.
"""

from __future__ import annotations

import os
from datetime import datetime

from huey import RedisHuey

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import SUBSCRIBERS

#: Threads of the tuned consumer.
WORKERS = 2

TUNED = os.environ["PEER_SETTING"] == "tuned"
huey = RedisHuey("bench", url=os.environ["REDIS_URL"], utc=False, results=not TUNED)
counter = Counter()


def noop(payload: Payload) -> None:
    """Count."""
    counter.count()


def timed(payload: Payload) -> None:
    """Note how late it is."""
    counter.time(payload)


TASKS = {name: huey.task(name=name)(noop) for name in ("noop", *(f"fan_{number}" for number in range(SUBSCRIBERS)))}
TASKS["timed"] = huey.task(name="timed")(timed)


class HueySender(Sender):
    """Sends by calling the task."""

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        TASKS[handler](payload)

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Send one with its moment, in local time, as Huey without `utc` reads it."""
        TASKS[handler].schedule((payload,), eta=datetime.fromtimestamp(due_ms / 1000))  # noqa: DTZ006


def worker_command(processes: int) -> list[str]:
    """Return the command of one consumer."""
    command = ["huey_consumer", "benchmarks.peers.huey_app.huey"]
    if TUNED:
        command += ["--workers", str(WORKERS), "--worker-type", "thread", "--quiet"]
        command += ["--disable-health-check", "--no-periodic"]
    return command


SENDER = HueySender
