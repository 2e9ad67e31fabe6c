"""A look into what Redis holds."""

from __future__ import annotations

from typing import Any

import msgspec
import redis

from eventsys.model.priority import LANES
from eventsys.store.keys import GROUP, LOG_QUEUE, Keys

from .ledger import Delivery


def streams(client: Any, keys: Keys) -> list[str]:
    """Return the keys of all lanes that are there, the log's first."""
    queues = [LOG_QUEUE, *sorted(client.smembers(keys.queues) - {LOG_QUEUE})]
    lanes = [keys.lane(queue, lane) for queue in queues for lane in LANES]
    return [lane for lane in lanes if client.exists(lane)]


def pending(client: Any, keys: Keys) -> dict[str, int]:
    """Return how many entries are held, by lane; lanes where none is are left out."""
    held = {stream: _held(client, stream) for stream in streams(client, keys)}
    return {stream: count for stream, count in held.items() if count}


def _held(client: Any, stream: str) -> int:
    try:
        return int(client.xpending(stream, GROUP)["pending"])
    except redis.ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        return 0  # nobody has read it yet, or Redis lost the group when its power was cut


def leftovers(client: Any, keys: Keys) -> list[str]:
    """Return what is left on a bus: nothing, where everything that was begun has ended."""
    found = [f"{count} entries held in {stream}" for stream, count in pending(client, keys).items()]
    queues = [stream for stream in streams(client, keys) if not stream.startswith(keys.log(0)[:-1])]
    found += [f"{length} entries in {stream}" for stream in queues if (length := client.xlen(stream))]
    for name in ("crashes", "delayed:due", "delayed:bodies", "delayed:far:due", "pending"):
        key = f"{keys.prefix}:{name}"
        if kind := client.type(key).removeprefix("none"):
            found.append(f"{client.zcard(key) if kind == 'zset' else client.hlen(key)} of {name}")
    for pattern in ("delayed:ids:*", "waiting:*"):
        found += [f"the key {key}" for key in client.scan_iter(f"{keys.prefix}:{pattern}", count=10_000)]
    return found


def held_by(client: Any, keys: Keys, pid: int) -> list[Delivery]:
    """Return the deliveries that a process holds according to Redis."""
    found: list[Delivery] = []
    for stream in streams(client, keys):
        for consumer in _consumers(client, stream):
            if f"-{pid}-" in consumer["name"] and consumer["pending"]:
                found += _deliveries(client, stream, consumer["name"])
    return found


def _consumers(client: Any, stream: str) -> list[dict[str, Any]]:
    try:
        return list(client.xinfo_consumers(stream, GROUP))
    except redis.ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        return []


def _deliveries(client: Any, stream: str, consumer: str) -> list[Delivery]:
    held = client.xpending_range(stream, GROUP, "-", "+", 1000, consumername=consumer)
    pipeline = client.pipeline(transaction=False)
    for one in held:
        pipeline.xrange(stream, one["message_id"], one["message_id"])
    entries = [found[0][1] for found in pipeline.execute() if found]
    return [(msgspec.json.decode(entry["e"])["id"], entry.get("s", "")) for entry in entries if "e" in entry]
