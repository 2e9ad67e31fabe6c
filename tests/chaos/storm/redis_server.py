"""The Redis in the storm: killed, cut back to what was on disk, held up, filled, made to forget."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Literal

import redis

from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.file_lock import FileLock
from eventsys.runtime.server_binary import ServerBinary, find_server

_LOOKS_S = 0.05
"""Seconds between two looks at how long the append-only file is."""

HELD_BACK_S = 2.0
"""For so long Redis holds back at most what it accepted, with everysec, while its disk is behind."""


class StormRedis:
    """A private Redis with an append-only file, which obeys `DEBUG`.

    Args:
        directory: Where it keeps its data.
        appendfsync: When the file is forced to disk.
    """

    def __init__(self, directory: Path, appendfsync: Literal["everysec", "always"]) -> None:
        directory.mkdir(parents=True)
        self.is_durable = appendfsync == "always"
        self._embedded = EmbeddedRedis(directory, binary=_obedient(directory), appendfsync=appendfsync)
        self._embedded.start()
        self.url = self._embedded.url
        self.socket = self.url.removeprefix("unix://")
        self.client: Any = redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=120)
        self._file_lengths: deque[tuple[float, Path, int]] = deque(maxlen=400)
        threading.Thread(target=self._watch_file, daemon=True).start()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._embedded.pid

    def kill(self, *, lost_s: float = 0.0, away_s: float = 0.0) -> float:
        """End it with SIGKILL, and start it again after a while; return since when what it accepted is gone.

        Args:
            lost_s: Of how many seconds the writes never reached the disk: a power cut, where a kill loses no more than
                what `holds_back` tells of.
            away_s: How long it is away.
        """
        killed_at = time.monotonic()
        os.kill(self.pid, signal.SIGKILL)
        with FileLock(self._embedded.directory / "server.lock").taken():
            pass
        lost_from = self._cut_file(killed_at - lost_s) if lost_s else killed_at
        time.sleep(away_s)
        self._embedded.ensure()
        return lost_from

    def holds_back(self) -> bool:
        """Say whether it may have accepted what it has not written yet, which a kill loses too."""
        if self.is_durable:
            return False
        try:
            return bool(self.client.info("persistence")["aof_pending_bio_fsync"])
        except redis.RedisError:
            return True

    def revive(self) -> bool:
        """Start it again if it ended by itself; say whether it had."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            self._embedded.ensure()
            return True
        return False

    def stop(self) -> None:
        """End it."""
        self.client.close()
        self._embedded.stop()

    def _cut_file(self, at: float) -> float:
        """Give the file back the length it had at a moment; return that of the look which tells of it."""
        path = _file_of(self._embedded.directory)
        known = [
            (seen_at, length) for seen_at, one, length in list(self._file_lengths) if one == path and seen_at <= at
        ]
        if path is None or not known:
            return time.monotonic()
        seen_at, length = known[-1]
        os.truncate(path, min(length, _length(path)))
        self._file_lengths.clear()  # else a cut soon after this one would make it longer, and Redis not read it
        return seen_at

    def _watch_file(self) -> None:
        while True:
            path = _file_of(self._embedded.directory)
            if path is not None:
                # The moment first: what is written between the two counts as kept, and is not excused.
                self._file_lengths.append((time.monotonic(), path, _length(path)))
            time.sleep(_LOOKS_S)


def _file_of(directory: Path) -> Path | None:
    files = sorted((directory / "appendonlydir").glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
    return files[-1] if files else None


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _obedient(directory: Path) -> ServerBinary:
    """Return a server program that is told to obey `DEBUG`."""
    found = find_server()
    if not found.has_multi_part_aof:
        return found
    path = directory / "redis-server"
    path.write_text(f'#!/bin/sh\nexec {found.path} "$@" --enable-debug-command local\n')
    path.chmod(0o700)
    return ServerBinary(path, found.version, found.kind)
