"""A file that says that a command is alive, for whoever restarts what is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: Seconds between two beats, and how old the last one may be before nobody seems to be alive.
BEAT_S, OLDEST_S = 1.0, 10.0


class LivenessFile:
    """Touched by a command as long as it goes on; it does not depend on Redis, so an outage restarts nobody.

    Args:
        path: The file; its directory must exist. None: there is no file, and nothing is done.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._touched_at = float("-inf")

    def beat(self) -> None:
        """Say that the command is alive; at most once a second, so that a busy loop may call it each time."""
        now = time.monotonic()
        if self._path is None or now - self._touched_at < BEAT_S:
            return
        self._touched_at = now
        self._path.write_text(f"{os.getpid()}\n")

    def remove(self) -> None:
        """Say that the command has ended."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def seconds_since_beat(path: Path) -> float | None:
    """Return how long ago a command said that it is alive; None when it never did, or has ended."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return None
