"""What the log says of a Redis that does not answer the heartbeat, and of one that answers again."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from eventsys.errors import EventsysError

logger = logging.getLogger("eventsys.broker.presence")


class Silence:
    """Tells of each try that was in vain, and once that they are over."""

    def __init__(self) -> None:
        self._began_s: float | None = None

    @contextmanager
    def told(self, worker: str) -> Iterator[None]:
        """End a try that was in vain, and tell of it; `eventsys worker` lets few of these lines through."""
        try:
            yield
        except EventsysError as error:
            if self._began_s is None:
                self._began_s = time.monotonic()
            logger.warning("no heartbeat: %s", error, extra={"action": "no_heartbeat", "worker": worker})
            return
        if self._began_s is not None:
            silent_s, self._began_s = time.monotonic() - self._began_s, None
            logger.warning("Redis answers again, after %.1f s", silent_s, extra={"action": "redis_answers"})
