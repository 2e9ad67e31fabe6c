"""arq.

- `default`: ten jobs at once, the queue looked at every half second, a result kept for an hour.
- `tuned`: `max_jobs=1000` and `poll_delay=0.01`, which a public comparison of queues
  (https://github.com/steventen/python_queue_benchmark) settled on; `keep_result=0` and `log_results=False`, where no
  result is wanted. All are arguments of `arq.worker.Worker` (https://arq-docs.helpmanual.io/, "Reference").

Several jobs go in by sends that are under way together: there is no call for them. One event for three functions is
three jobs.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import SUBSCRIBERS

counter = Counter()


async def noop(context: dict[str, Any], payload: Payload) -> None:
    """Count."""
    counter.count()


async def timed(context: dict[str, Any], payload: Payload) -> None:
    """Note how late it is."""
    counter.time(payload)


class WorkerSettings:
    """What `arq` reads."""

    functions = [noop, timed, *(func(noop, name=f"fan_{number}") for number in range(SUBSCRIBERS))]  # noqa: RUF012
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])


if os.environ["PEER_SETTING"] == "tuned":
    WorkerSettings.max_jobs = 1000  # type: ignore[attr-defined]
    WorkerSettings.poll_delay = 0.01  # type: ignore[attr-defined]
    WorkerSettings.keep_result = 0  # type: ignore[attr-defined]
    WorkerSettings.log_results = False  # type: ignore[attr-defined]


class ArqSender(Sender):
    """Sends by `enqueue_job`."""

    sends_together = True

    pool: ArqRedis

    async def open(self) -> None:
        """Connect."""
        self.pool = await create_pool(WorkerSettings.redis_settings)

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        await self.pool.enqueue_job(handler, payload)

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Send one with its moment."""
        await self.pool.enqueue_job(handler, payload, _defer_until=datetime.fromtimestamp(due_ms / 1000, UTC))


def worker_command(processes: int) -> list[str]:
    """Return the command of one worker; arq has no option for more."""
    return ["arq", "benchmarks.peers.arq_app.WorkerSettings"]


SENDER = ArqSender
