"""Taskiq on Redis, by list and by stream.

- `list`, `stream`: `taskiq worker --workers 1` with ListQueueBroker or RedisStreamBroker of taskiq-redis, its defaults:
  100 tasks at once, messages as JSON. A stream acknowledges a message when its result is saved (here none is kept); a
  list never does: what a worker has taken from it is lost with the worker.
- `list tuned`, `stream tuned`: `--max-prefetch 100`, `--no-parse` (https://taskiq-python.github.io/guide/cli.html,
  "Other parameters": arguments are not converted to their annotations) and the ORJSON serializer
  (https://taskiq-python.github.io/extending-taskiq/, "Serializers"). uvloop is installed in both, as `taskiq[uv]` is.

Several tasks go in by sends that are under way together: there is no call for them. One event for three tasks is three
sends. Delays need a scheduler beside the worker and a schedule source; ListRedisScheduleSource is what taskiq-redis
recommends. The scheduler looks every second and re-reads the source every minute by default; `tuned` re-reads every
second, by the options `--update-interval` and `--loop-interval` of the same page.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from taskiq import TaskiqScheduler
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import ListQueueBroker, ListRedisScheduleSource, RedisStreamBroker

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import SUBSCRIBERS

URL = os.environ["REDIS_URL"]
SETTING = os.environ["PEER_SETTING"]
TUNED = SETTING.endswith("tuned")
# The group must exist before the first message, or begin with it: 0 is the beginning of the stream.
broker: Any = ListQueueBroker(URL) if SETTING.startswith("list") else RedisStreamBroker(URL, consumer_id="0")
if TUNED:
    broker = broker.with_serializer(ORJSONSerializer())
source = ListRedisScheduleSource(URL)
scheduler = TaskiqScheduler(broker, sources=[source])
counter = Counter()


async def noop(payload: Payload) -> None:
    """Count."""
    counter.count()


async def timed(payload: Payload) -> None:
    """Note how late it is."""
    counter.time(payload)


TASKS = {
    name: broker.register_task(noop, task_name=name)
    for name in ("noop", *(f"fan_{number}" for number in range(SUBSCRIBERS)))
}
TASKS["timed"] = broker.register_task(timed, task_name="timed")


class TaskiqSender(Sender):
    """Sends by `kiq`."""

    sends_together = True

    async def open(self) -> None:
        """Connect."""
        await broker.startup()
        await source.startup()

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        await TASKS[handler].kiq(payload)

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Put one into the schedule."""
        await TASKS[handler].schedule_by_time(source, datetime.fromtimestamp(due_ms / 1000, UTC), payload)


def worker_command(processes: int) -> list[str]:
    """Start the scheduler where delays are measured, and return the command of the workers."""
    module = "benchmarks.peers.taskiq_app"
    if os.environ.get("PEER_DELAYS"):
        intervals = ["--update-interval", "1", "--loop-interval", "1"] if TUNED else []
        program = str(Path(sys.executable).parent / "taskiq")
        # A child of the worker's process, so that it is measured and ended with it.
        subprocess.Popen([program, "scheduler", f"{module}:scheduler", "--log-level", "WARNING", *intervals])
    command = ["taskiq", "worker", f"{module}:broker", "--workers", str(processes), "--log-level", "WARNING"]
    return command + (["--max-prefetch", "100", "--no-parse"] if TUNED else [])


SENDER = TaskiqSender
