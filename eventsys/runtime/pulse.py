"""For how long a worker process has shown no sign of life."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two looks beyond which whoever looks was away itself, as when a machine was frozen.
_AWAY_S = 5.0


class Pulse:
    """The silence of one worker process, as whoever looks at it again and again can know it.

    Nothing counts that says nothing of the process: the time before its first beat, in which it loads its application;
    that in which it is excused; and that in which nobody looked. So it is not the age of the last beat that counts.

    Args:
        now_s: Seconds of a clock that only goes forward.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._beat = 0.0
        self._looked_at = self._silent_since = now_s()

    def look(self, beat: float, *, is_excused: bool) -> float:
        """Return for how many seconds it has been silent.

        Args:
            beat: Its last beat, 0 before the first; whatever differs from that of the last look is a new one.
            is_excused: Whether something else decides how long it may be silent now.
        """
        now = self._now_s()
        if beat == 0.0 or beat != self._beat or is_excused or now - self._looked_at > _AWAY_S:
            self._silent_since = now
        self._beat, self._looked_at = beat, now
        return now - self._silent_since
