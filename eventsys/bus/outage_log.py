"""What the log says while buffered events wait for Redis: seldom, and once when it is over."""

from __future__ import annotations

import logging

from eventsys.errors import EventsysError

#: Seconds after which a wait that goes on is told again at the latest; before, whenever it has doubled.
LONGEST_SILENCE_S = 60.0

#: Seconds of waiting after which it is told a second time.
_FIRST_SILENCE_S = 1.0

logger = logging.getLogger("eventsys.bus.buffer")


class OutageLog:
    """Tells of a wait when it begins, whenever it has doubled, every minute from then on, and when it is over.

    The times are seconds of a clock that only goes forward, and are given by the caller.
    """

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._next_s = 0.0

    def goes_on(self, count: int, error: EventsysError, now_s: float) -> None:
        """Note that a try was in vain, and tell of it if it is time to."""
        if self._began_s is None:
            self._began_s = self._next_s = now_s
        if now_s < self._next_s:
            return
        waited_s = now_s - self._began_s
        self._next_s = now_s + min(max(waited_s, _FIRST_SILENCE_S), LONGEST_SILENCE_S)
        logger.warning(
            "%d buffered events wait, for %.0f s by now: %s", count, waited_s, error,
            extra={"action": "flush_waits", "count": count},
        )  # fmt: skip

    def ends(self, sent: int, left: int, now_s: float) -> None:
        """Tell that a wait is over, if there was one: how many events were sent, and how many follow."""
        if self._began_s is None:
            return
        waited_s, self._began_s = now_s - self._began_s, None
        logger.warning(
            "buffered events are sent again, after %.1f s: %d were sent, %d follow", waited_s, sent, left,
            extra={"action": "flush_resumed", "count": sent},
        )  # fmt: skip
