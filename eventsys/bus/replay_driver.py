"""The thread that carries replays on, while there are any."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from eventsys.bus.replay import Replays
from eventsys.errors import EventsysError

#: Seconds between two steps: how evenly a replay's rate is kept.
_STEP_S = 0.1

logger = logging.getLogger(__name__)


class ReplayDriver:
    """Carries replays on in a worker process, in a thread that lives as long as one runs.

    Each process looks for replays every few seconds. Of those that find one, one carries it on, and another when that
    one dies; what two do at once counts once.

    Args:
        replays: The replays.
        works: Whether this process handles messages.
        by_hand: Whether no thread may be started: a test takes the steps.
    """

    def __init__(self, replays: Replays, *, works: Callable[[], bool], by_hand: Callable[[], bool]) -> None:
        self._replays = replays
        self._works = works
        self._by_hand = by_hand
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def make_round(self) -> bool:
        """Look for replays, and carry them on from now on; say whether there are any."""
        if not self._works() or not self._replays.running():
            return False
        if self._by_hand():
            self._replays.step()
        elif self._thread is None or not self._thread.is_alive():
            self._stopping = threading.Event()
            thread = threading.Thread(target=self._run, args=(self._stopping,), name="eventsys-replays", daemon=True)
            thread.start()
            self._thread = thread  # last: what is here can be joined
        return True

    def stop(self) -> None:
        """Take no further step; another process goes on."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)

    def _run(self, stopping: threading.Event) -> None:
        try:
            while not stopping.wait(_STEP_S) and self._replays.running():
                self._replays.step()
        except EventsysError as error:
            logger.warning("replays wait for Redis: %s", error, extra={"action": "replays_wait"})
        except Exception:
            logger.exception("a replay could not be carried on", extra={"action": "replay_failed"})
