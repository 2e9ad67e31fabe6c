"""The Redis under fire, and a look into what it holds."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Literal

import msgspec
import redis

from eventsys.model.priority import LANES
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.file_lock import FileLock
from eventsys.store.keys import GROUP, LOG_QUEUE, Keys

from .ledger import Delivery


class Server:
    """A private Redis with an append-only file, on a Unix socket.

    Args:
        directory: Where it keeps its data.
        appendfsync: When the file is forced to disk; `always` promises that what was acknowledged survives a kill.
    """

    def __init__(self, directory: Path, appendfsync: Literal["everysec", "always"]) -> None:
        self._embedded = EmbeddedRedis(directory, appendfsync=appendfsync)
        self._embedded.start()
        self.url = self._embedded.url
        self.client: Any = redis.Redis.from_url(self.url, decode_responses=True)

    def kill(self) -> None:
        """End it with SIGKILL, and start it again with what it had."""
        os.kill(self._embedded.pid, signal.SIGKILL)
        with FileLock(self._embedded.directory / "server.lock").taken():
            pass
        self._embedded.ensure()

    def stop(self) -> None:
        """End it."""
        self.client.close()
        self._embedded.stop()

    def streams(self, keys: Keys) -> list[str]:
        """Return the keys of all lanes that are there, the log's first."""
        queues = [LOG_QUEUE, *sorted(self.client.smembers(keys.queues) - {LOG_QUEUE})]
        lanes = [keys.lane(queue, lane) for queue in queues for lane in LANES]
        return [lane for lane in lanes if self.client.exists(lane)]

    def pending(self, keys: Keys) -> dict[str, int]:
        """Return how many entries are held, by lane; lanes where none is are left out."""
        held = {stream: self.client.xpending(stream, GROUP)["pending"] for stream in self.streams(keys)}
        return {stream: count for stream, count in held.items() if count}

    def held_by(self, keys: Keys, pid: int) -> list[Delivery]:
        """Return the deliveries that a process holds according to Redis."""
        found: list[Delivery] = []
        for stream in self.streams(keys):
            for consumer in self.client.xinfo_consumers(stream, GROUP):
                if f"-{pid}-" in consumer["name"] and consumer["pending"]:
                    found += self._deliveries(stream, consumer["name"])
        return found

    def _deliveries(self, stream: str, consumer: str) -> list[Delivery]:
        held = self.client.xpending_range(stream, GROUP, "-", "+", 1000, consumername=consumer)
        pipeline = self.client.pipeline(transaction=False)
        for one in held:
            pipeline.xrange(stream, one["message_id"], one["message_id"])
        entries = [found[0][1] for found in pipeline.execute() if found]
        return [(msgspec.json.decode(entry["e"])["id"], entry.get("s", "")) for entry in entries]
