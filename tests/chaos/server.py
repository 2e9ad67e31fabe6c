"""The Redis under fire, and a look into what it holds."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Literal

import redis

from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.file_lock import FileLock
from eventsys.store.keys import Keys

from . import looks
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
        return looks.streams(self.client, keys)

    def pending(self, keys: Keys) -> dict[str, int]:
        """Return how many entries are held, by lane; lanes where none is are left out."""
        return looks.pending(self.client, keys)

    def held_by(self, keys: Keys, pid: int) -> list[Delivery]:
        """Return the deliveries that a process holds according to Redis."""
        return looks.held_by(self.client, keys, pid)
