"""Whether a worker process keeps its size while it handles millions of deliveries."""

from __future__ import annotations

import json
import time

from benchmarks import own_app
from benchmarks.harness import LOOK_EVERY_SECONDS, parse_options
from benchmarks.processes import memory_share_bytes, running
from benchmarks.server import private_redis
from benchmarks.workload import PAYLOAD

#: Events of one `publish_many`; so many are published ahead of the worker at most.
_BATCH, _AHEAD = 500, 20_000

#: How often the size is taken. Before the first one the worker warms up: caches fill, and its buffers reach their size.
_SAMPLES = 20

_DELIVERIES = 5_000_000


def main() -> None:
    """Publish beside one worker, each event for three subscriptions, and take the worker's size by the way."""
    options = parse_options(__doc__ or "", messages=_DELIVERIES // own_app.SUBSCRIBERS)
    with private_redis(options.redis, aof=options.aof) as server:
        application = own_app.declare(server.url)
        with running(own_app.own_worker(), {"REDIS_URL": server.url}) as worker:
            sizes = []
            for number in range(1, _SAMPLES + 1):
                _publish(
                    application, options.messages * (number - 1) // _SAMPLES, options.messages * number // _SAMPLES
                )
                sizes.append(memory_share_bytes(worker.pid) / 2**20)
    print("MiB: " + " ".join(f"{size:.1f}" for size in sizes))
    warm = options.messages * own_app.SUBSCRIBERS // 10
    print(f"grew by {sizes[-1] - sizes[1]:.1f} MiB in the {9 * warm:,} deliveries after the first {warm:,}")
    if options.json is not None:
        options.json.write_text(json.dumps({"deliveries": options.messages * own_app.SUBSCRIBERS, "mib": sizes}))


def _publish(application: own_app.Application, first: int, last: int) -> None:
    """Publish the events of these numbers, and return when all that was published is handled."""
    for start in range(first, last, _BATCH):
        application.events.publish_many([(own_app.EVENT_TYPE, PAYLOAD)] * min(_BATCH, last - start))
        _wait(application, start - _AHEAD)
    _wait(application, last)


def _wait(application: own_app.Application, events: int) -> None:
    while application.deliveries_ended() < events * own_app.SUBSCRIBERS:
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main()
