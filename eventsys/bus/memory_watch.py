"""Telling a person that the memory of Redis is nearly full, so that publishing is refused."""

from __future__ import annotations

import logging

from eventsys.bus.system_events import SystemEvents
from eventsys.store.memory_room import MOST, ROOMY, MemoryRoom

#: The trouble that is reported while publishing is refused.
MEMORY_FULL = "redis:memory"

logger = logging.getLogger(__name__)


class MemoryWatch:
    """Looks at the memory of Redis with every round of a process, for what its handlers publish too.

    Args:
        room: What is asked, and then refuses.
        system: Where trouble is reported.
    """

    def __init__(self, room: MemoryRoom, system: SystemEvents) -> None:
        self._room = room
        self._system = system
        self._is_reported: bool | None = None

    def forget(self) -> None:
        """Begin anew, on a bus that this process has not seen."""
        self._is_reported = None

    def make_round(self) -> bool:
        """Report that Redis is full, or that it has room again; return whether to look again soon."""
        share = self._room.look()
        if share > MOST:
            self._report(share)
        elif share < ROOMY and self._is_reported is not False:
            # The limits lie apart, so that it does not begin and end all the time.
            if self._is_reported or any(one.key == MEMORY_FULL for one in self._system.troubles()):
                self._system.over(MEMORY_FULL, "Redis has memory again, and events are taken")
            self._is_reported = False
        return share > ROOMY

    def _report(self, share: float) -> None:
        if self._is_reported:
            return
        self._is_reported = True
        message = (
            f"Redis uses {share:.0%} of its memory limit, so publishing is refused; raise maxmemory, keep less history"
            " (EVENTSYS_RETENTION), or find what piles up: eventsys queue ls"
        )
        logger.warning("%s", message, extra={"action": "memory_full"})
        self._system.warn(MEMORY_FULL, message, details={"share": round(share, 3)})
