"""What a recorded event costs in Redis: 200 bytes of payload, three deliveries, record and indexes included."""

from __future__ import annotations

import json
import time

from benchmarks import own_app
from benchmarks.harness import LOOK_EVERY_SECONDS, parse_options
from benchmarks.processes import running
from benchmarks.server import private_redis
from benchmarks.workload import PAYLOAD

#: Events put in before the first reading, so that what every bus has once is not counted.
_FIRST = 100


def main() -> None:
    """Publish, let everything be handled, and read Redis's memory before and after."""
    options = parse_options(__doc__ or "", messages=50_000)
    with private_redis(options.redis, aof=options.aof) as server:
        application = own_app.declare(server.url)
        with running(own_app.own_worker(), {"REDIS_URL": server.url}):
            before = _handled(application, _FIRST, _FIRST)
            after = _handled(application, options.messages, _FIRST + options.messages)
    per_event = (after - before) / options.messages
    print(f"{per_event:.0f} bytes of Redis {server.version} for each of {options.messages:,} recorded events")
    if options.json is not None:
        options.json.write_text(json.dumps({"bytes_per_event": per_event, "events": options.messages}))


def _handled(application: own_app.Application, count: int, total: int) -> int:
    """Publish `count` events, wait until `total` are handled, and return Redis's memory in bytes."""
    for start in range(0, count, 500):
        application.events.publish_many([(own_app.EVENT_TYPE, PAYLOAD)] * min(500, count - start))
    while application.deliveries_ended() < total * own_app.SUBSCRIBERS:
        time.sleep(LOOK_EVERY_SECONDS)
    return int(application.client.info("memory")["used_memory"])  # type: ignore[index]


if __name__ == "__main__":
    main()
