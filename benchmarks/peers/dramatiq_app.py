"""A stock Dramatiq application: RedisBroker, its default middleware, actors that do nothing.

The worker runs as Dramatiq's documentation says, with the `dramatiq` command; in it this module is imported with
REDIS_URL set. The benchmark itself calls `declare` to send.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from benchmarks.workload import SUBSCRIBERS, THREADS

QUEUE = "default"


@dataclass(frozen=True)
class Application:
    """A broker and its actors, all on one queue."""

    broker: RedisBroker
    actors: Sequence[dramatiq.Actor[Any, None]]
    client: redis.Redis

    def unfinished(self) -> int:
        """Return how many messages are not acknowledged: Dramatiq keeps each in this hash until then."""
        return int(self.client.hlen(f"dramatiq:{QUEUE}.msgs"))


def declare(url: str) -> Application:
    """Return the application on the Redis at `url`."""
    broker = RedisBroker(url=url)  # type: ignore[no-untyped-call]
    actors = [
        dramatiq.actor(actor_name=f"subscriber_{number}", queue_name=QUEUE, broker=broker)(_do_nothing)
        for number in range(SUBSCRIBERS)
    ]
    return Application(broker, actors, redis.Redis.from_url(url))


def worker_command() -> list[str]:
    """Return the command of one worker process with THREADS threads."""
    return [sys.executable, "-m", "dramatiq", __name__, "--processes", "1", "--threads", str(THREADS)]


def _do_nothing(payload: Mapping[str, object]) -> None:
    """Take a payload and succeed."""


if "REDIS_URL" in os.environ:
    dramatiq.set_broker(declare(os.environ["REDIS_URL"]).broker)
