"""Hearing promptly that something below some directories was written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

#: Seconds between two looks of an observer that polls.
POLL_S = 0.2

logger = logging.getLogger(__name__)


class Watcher(FileSystemEventHandler):
    """Sets an event when a Python file may have changed, and nothing more.

    What has changed is found out by looking at the files. So an event that is lost when a queue of the kernel
    overflows, or an observer that died, costs promptness, and no change.

    Args:
        changed: What is set.
        polls: Look again and again instead of being told; for file systems that tell nothing.
    """

    def __init__(self, changed: threading.Event, *, polls: bool = False) -> None:
        self._changed = changed
        self._polls = polls
        self._observer: Any = None
        self._watched: frozenset[Path] = frozenset()

    def watch(self, directories: Iterable[Path]) -> bool:
        """Watch these directories, and what is directly in them; where none can be watched, poll.

        Returns:
            Whether watching began anew; what happened before may not have been seen.
        """
        wanted = frozenset(path for path in directories if path.is_dir())
        if wanted == self._watched and self._observer is not None and self._observer.is_alive():
            return False
        self.stop()
        self._watched = wanted
        try:
            self._start(PollingObserver(timeout=POLL_S) if self._polls else Observer())
        except OSError as error:
            if self._polls:
                raise
            logger.warning("files cannot be watched (%s); they are looked at instead", error)
            self._polls = True
            self._start(PollingObserver(timeout=POLL_S))
        return True

    def stop(self) -> None:
        """Watch nothing any more."""
        observer, self._observer = self._observer, None
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join(5.0)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Set the event; whatever this raised would end the observer, so it does nothing that could raise."""
        if event.event_type not in {"opened", "closed_no_write"}:
            self._changed.set()

    def _start(self, observer: Any) -> None:
        for directory in sorted(self._watched):
            observer.schedule(self, str(directory), recursive=False)
        observer.start()
        self._observer = observer
