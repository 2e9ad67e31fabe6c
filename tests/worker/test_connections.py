"""How many connections a process has: one for each queue that it reads, and a few for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
import redis

from eventsys.broker.broker import EventBroker
from eventsys.broker.lease import Lease
from eventsys.broker.worker import Worker
from tests.support.connections import Newcomers
from tests.support.waiting import eventually

#: How many queues the worker reads.
_QUEUES = 20

#: The thread that declares, the one that beats, and the one that asks what the time is.
_OTHERS = 3


@pytest.fixture
def broker(redis_url: str, redis_client: redis.Redis) -> Iterator[EventBroker]:
    """A broker of actors in many queues, whose process looks after nothing by itself."""
    made = EventBroker(redis_url, lease=Lease(lease_ms=3_600_000, beat_s=3_600.0, scan_s=3_600.0))
    for number in range(_QUEUES):
        dramatiq.actor(broker=made, actor_name=f"note{number}", queue_name=f"queue{number}")(lambda: None)
    yield made
    made.close()


@pytest.mark.redis62
@pytest.mark.parametrize("make_worker", [Worker, dramatiq.Worker])
def test_a_queue_is_one_connection(
    broker: EventBroker, redis_client: redis.Redis, make_worker: Callable[..., Any]
) -> None:
    newcomers = Newcomers(redis_client)
    worker = make_worker(broker, worker_threads=1, worker_timeout=1_000)
    worker.start()
    eventually(lambda: len(newcomers.waiting()) == _QUEUES)
    first = newcomers.all()
    assert len(first) <= _QUEUES + _OTHERS
    for one in first:
        redis_client.client_kill_filter(_id=one["id"])
    # Each begins anew: it enters its queue, and looks for what a lost reply may have told of.
    lost = {one["id"] for one in first}
    eventually(lambda: len([one for one in newcomers.waiting() if one["id"] not in lost]) == _QUEUES)
    assert len(newcomers.all()) <= _QUEUES + _OTHERS
    worker.stop()
