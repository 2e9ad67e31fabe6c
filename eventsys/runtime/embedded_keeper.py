"""Keeping the embedded Redis running for processes that know only its URL."""

from __future__ import annotations

import logging
import threading

from eventsys.runtime.embedded import EmbeddedRedis

#: Seconds between two looks whether it is there, and after a start that failed.
_LOOK_S, _RETRY_S = 1.0, 5.0

logger = logging.getLogger(__name__)


class EmbeddedKeeper:
    """Starts the embedded Redis, and starts it again where it died, from a thread of its own.

    A start takes as long as its append-only file takes to load; whoever looks after the processes does not wait for it.

    Args:
        embedded: The server.
    """

    def __init__(self, embedded: EmbeddedRedis) -> None:
        self._embedded = embedded
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eventsys-redis-keeper", daemon=True)

    def start(self) -> str:
        """Return the URL of the server, which is running, and is kept so from now on.

        Raises:
            EmbeddedRedisError: If it does not start; then nothing is kept.
        """
        url = self._embedded.keep()
        self._thread.start()
        return url

    def close(self) -> None:
        """Keep the server running no longer, and let go of it.

        Raises:
            EmbeddedRedisError: If the server does not end.
        """
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join()
        self._embedded.stop()

    def _run(self) -> None:
        wait_s = _LOOK_S
        while not self._ends.wait(wait_s):
            try:
                self._embedded.keep()
            except Exception as error:  # nobody starts this thread again
                wait_s = _RETRY_S
                logger.error("the embedded Redis is away: %s", error, extra={"action": "redis_not_started"})
            else:
                wait_s = _LOOK_S
