"""How long it takes until a dead worker process is replaced."""

from __future__ import annotations

#: Seconds: the first time, and at most; doubled each time a process dies young.
BACK_OFF_S = (0.1, 10.0)

#: The most for a process that had begun to work. Waiting mends no handler that kills its process, and what does five
#: times is set aside; meanwhile everything else waits with it.
WORKED_BACK_OFF_S = 1.0

#: Seconds a process has to live for its death to count as the first one again.
GROWN_UP_S = 30.0


class BackOff:
    """The pause before a process that died is replaced, over all processes of one supervisor."""

    def __init__(self) -> None:
        self._next_s = BACK_OFF_S[0]

    def after(self, age_s: float, *, has_worked: bool) -> float:
        """Return for how many seconds nothing replaces a process that just died.

        Args:
            age_s: For how many seconds it had been running.
            has_worked: Whether it had begun to work, so that the application can be started.
        """
        if age_s >= GROWN_UP_S:
            self._next_s = BACK_OFF_S[0]
        pause_s = min(self._next_s, WORKED_BACK_OFF_S) if has_worked else self._next_s
        self._next_s = min(2 * self._next_s, BACK_OFF_S[1])
        return pause_s
