"""RQ.

- `default`: `rq worker`, which forks a process for each job.
- `tuned`: `--worker-class rq.SimpleWorker`, which runs jobs in its own process; "Notes on Performance"
  (https://github.com/rq/rq/blob/master/docs/benchmark.md) gives it as the fast one, for jobs of milliseconds. With
  `--disable-job-desc-logging`, `--quiet` and `result_ttl=0`: finished jobs are not kept.

Several jobs go in by `enqueue_many` in one pipeline (https://python-rq.org/docs/, "Bulk Job Enqueueing"). One event for
three functions is three jobs of such a batch. Delays are `enqueue_at`, with `--with-scheduler`, which looks every
second.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from redis import Redis
from rq import Queue

from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import SUBSCRIBERS

FUNCTIONS = "benchmarks.peers.rq_functions"
TUNED = os.environ["PEER_SETTING"] == "tuned"
# How long a finished job is kept is chosen where it is sent.
OPTIONS = {"result_ttl": 0} if TUNED else {}


def _function(handler: str) -> str:
    return f"{FUNCTIONS}.{'timed' if handler == 'timed' else 'noop'}"


class RqSender(Sender):
    """Sends by `enqueue`."""

    async def open(self) -> None:
        """Connect."""
        self.queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        self.queue.enqueue(_function(handler), payload, **OPTIONS)

    async def send_many(self, handler: str, payloads: Sequence[Payload]) -> None:
        """Send several in one pipeline."""
        function = _function(handler)
        self.queue.enqueue_many([Queue.prepare_data(function, (payload,), **OPTIONS) for payload in payloads])

    async def fan_out(self, payloads: Sequence[Payload]) -> None:
        """Send three jobs an event, in one pipeline."""
        await self.send_many("noop", [payload for payload in payloads for _ in range(SUBSCRIBERS)])

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Send one with its moment."""
        self.queue.enqueue_at(datetime.fromtimestamp(due_ms / 1000, UTC), _function(handler), payload, **OPTIONS)


def worker_command(processes: int) -> list[str]:
    """Return the command of one worker."""
    command = ["rq", "worker", "--url", os.environ["REDIS_URL"]]
    if os.environ.get("PEER_DELAYS"):
        command.append("--with-scheduler")
    if TUNED:
        command += ["--worker-class", "rq.SimpleWorker", "--disable-job-desc-logging", "--quiet"]
    return command


SENDER = RqSender
