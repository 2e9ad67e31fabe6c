"""A file that says that a command is alive, for whoever restarts what is not."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from eventsys.errors import EventsysError

#: Seconds between two beats, and how old the last one may be before nobody seems to be alive.
BEAT_S, OLDEST_S = 1.0, 10.0


logger = logging.getLogger(__name__)


class LivenessFileError(EventsysError, ValueError):
    """A liveness file that cannot be written where it is asked for."""


class LivenessFile:
    """Touched by a command as long as it goes on; it does not depend on Redis, so an outage restarts nobody.

    Once it was written, a file that cannot be (a full disk, a directory that was cleared) ends nobody either: it is
    told, and tried again each second. Whoever reads the file sees that it grows old.

    Args:
        path: The file; its directory must exist. None: there is no file, and nothing is done.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._touched_at = float("-inf")
        self._is_well = True

    def begin(self) -> None:
        """Say for the first time that the command is alive.

        Raises:
            LivenessFileError: If the file cannot be written.
        """
        try:
            self._touch()
        except OSError as error:
            raise LivenessFileError(
                f"{self._path} cannot be written: {error.strerror}; name another --liveness-file"
            ) from error

    def beat(self) -> None:
        """Say that the command is alive; at most once a second, so that a busy loop may call it each time."""
        if time.monotonic() - self._touched_at < BEAT_S:
            return
        try:
            self._touch()
        except OSError as error:
            if self._is_well:
                logger.warning("the liveness file %s cannot be written: %s", self._path, error.strerror)
            self._is_well = False
        else:
            self._is_well = True

    def remove(self) -> None:
        """Say that the command has ended."""
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the liveness file %s cannot be removed: %s", self._path, error.strerror)

    def _touch(self) -> None:
        self._touched_at = time.monotonic()
        if self._path is not None:
            self._path.write_text(f"{os.getpid()}\n")


def seconds_since_beat(path: Path) -> float | None:
    """Return how long ago a command said that it is alive; None when it never did, or has ended."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return None
