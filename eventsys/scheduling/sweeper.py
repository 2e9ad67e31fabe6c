"""The thread that runs the sweeps which nobody else runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from eventsys.errors import EventsysError
from eventsys.scheduling.sweeps import Sweeps

#: Seconds between two looks: how much later than three minutes a sweep may be.
_LOOK_S = 30.0

logger = logging.getLogger(__name__)


class Sweeper:
    """Runs overdue sweeps in every worker process whose poller leads, beside the poller and not in its thread.

    Args:
        sweeps: The sweeps.
        is_leading: Whether this process's poller leads.
        look_s: Seconds between two looks.
    """

    def __init__(self, sweeps: Sweeps, is_leading: Callable[[], bool], *, look_s: float = _LOOK_S) -> None:
        self._sweeps = sweeps
        self._is_leading = is_leading
        self._look_s = look_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="eventsys-sweeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin no more sweeps; one that runs goes on, and its process may end under it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._look_s):
            if not self._is_leading():
                continue
            try:
                self._sweeps.run_overdue()
            except EventsysError as error:
                logger.warning("overdue sweeps wait for Redis: %s", error, extra={"action": "sweeps_wait"})
            except Exception:
                logger.exception("overdue sweeps could not be begun", extra={"action": "sweeps_failed"})
