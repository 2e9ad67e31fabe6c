"""SAQ on Redis.

- `default`: ten jobs at once, jobs kept for ten minutes after their end.
- `tuned`: `concurrency=100`, which its own benchmark uses (https://github.com/tobymao/saq, benchmarks/simple.py), and
  `ttl=-1`, which keeps no finished job (https://saq-py.readthedocs.io/, "Job"). Delayed jobs are looked at every second
  (`timers={"schedule": 1}`) in both: the least, for `scheduled` is in whole seconds.

Several jobs go in by sends that are under way together, as in that benchmark: there is no call for them (`map` waits
for their ends). One event for three functions is three
jobs. A job's moment is a whole second, so it is rounded up: down would be early.
"""

from __future__ import annotations

import os
from typing import Any

from saq import Queue

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import SUBSCRIBERS

queue = Queue.from_url(os.environ["REDIS_URL"])
counter = Counter()


async def noop(context: dict[str, Any], *, payload: Payload) -> None:
    """Count."""
    counter.count()


async def timed(context: dict[str, Any], *, payload: Payload) -> None:
    """Note how late it is."""
    counter.time(payload)


settings: dict[str, Any] = {
    "queue": queue,
    "functions": [("noop", noop), ("timed", timed), *((f"fan_{number}", noop) for number in range(SUBSCRIBERS))],
}
TUNED = os.environ["PEER_SETTING"] == "tuned"
if TUNED:
    settings["concurrency"] = 100
# How long a finished job is kept is chosen where it is sent.
OPTIONS: dict[str, Any] = {"ttl": -1} if TUNED else {}


class SaqSender(Sender):
    """Sends by `enqueue`."""

    sends_together = True

    async def open(self) -> None:
        """Connect."""
        await queue.connect()

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        await queue.enqueue(handler, payload=payload, **OPTIONS)

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Send one with its second."""
        await queue.enqueue(handler, payload=payload, scheduled=-(-due_ms // 1000), **OPTIONS)


def worker_command(processes: int) -> list[str]:
    """Return the command of the workers."""
    return ["saq", "benchmarks.peers.saq_app.settings", "--workers", str(processes), "--quiet"]


SENDER = SaqSender
