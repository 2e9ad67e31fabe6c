"""Celery on Redis.

- `default`: `celery worker --concurrency 1`, everything else as it comes: a prefork pool, four messages prefetched.
- `tuned`: the page "Optimizing" of the user guide
  (https://docs.celeryq.dev/en/stable/userguide/optimizing.html) says for many short tasks a prefetch multiplier of 64
  or 128: here 128. Results are ignored, as "Tips and Best Practices" of the page "Tasks" says where none is wanted, and
  the worker runs without gossip, mingle and heartbeat, which the page "Workers" lets one switch off.
- `threads`: as tuned, on the thread pool with 8 threads (https://docs.celeryq.dev/en/stable/userguide/concurrency/).

There is no call that sends several tasks in one step: a group sends one by one. One event for three tasks is three
sends. Delays are `apply_async(eta=...)`: the worker keeps the messages in its memory until they are due.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from celery import Celery

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import SUBSCRIBERS, THREADS

app = Celery("bench", broker=os.environ["REDIS_URL"])
app.conf.broker_connection_retry_on_startup = True
TUNED = os.environ["PEER_SETTING"] != "default"
if TUNED:
    app.conf.worker_prefetch_multiplier = 128
    app.conf.task_ignore_result = True
counter = Counter()


def noop(payload: Payload) -> None:
    """Count."""
    counter.count()


def timed(payload: Payload) -> None:
    """Note how late it is."""
    counter.time(payload)


TASKS = {name: app.task(noop, name=name) for name in ("noop", *(f"fan_{number}" for number in range(SUBSCRIBERS)))}
TASKS["timed"] = app.task(timed, name="timed")


class CelerySender(Sender):
    """Sends by `apply_async`."""

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        TASKS[handler].apply_async((payload,))

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Send one with its moment."""
        TASKS[handler].apply_async((payload,), eta=datetime.fromtimestamp(due_ms / 1000, UTC))


def worker_command(processes: int) -> list[str]:
    """Return the command of the workers."""
    command = ["celery", "-A", "benchmarks.peers.celery_app:app", "worker", "--loglevel", "WARNING"]
    if os.environ["PEER_SETTING"] == "threads":
        command += ["--pool", "threads", "--concurrency", str(THREADS)]
    elif os.environ["PEER_SETTING"] == "tuned, solo":
        command += ["--pool", "solo"]
    else:
        command += ["--concurrency", str(processes)]
    return command + (["--without-gossip", "--without-mingle", "--without-heartbeat"] if TUNED else [])


SENDER = CelerySender
