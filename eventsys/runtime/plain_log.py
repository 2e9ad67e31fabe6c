"""The log of a process of ours, for files and collectors of logs: a line a record, and few while Redis is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds after which a wait that goes on is told again at the latest; before, whenever it has doubled.
LONGEST_SILENCE_S = 60.0

#: Seconds of waiting after which it is told a second time.
_FIRST_SILENCE_S = 1.0

#: Seconds without such a line after which the wait is over: more than lies between two tries of any thread.
_OVER_S = 15.0

#: What says that Redis answers again: whatever waits from now on, waits anew.
_ANSWERS = "redis_answers"

#: What threads say at each try while Redis is away, and what loses nothing by being said less often: the try is made
#: anyhow. What waits for a commit is not among them, since that tells of a message.
_WAITS = frozenset(
    {"worker_waits", "consumer_waits", "poller_waits", "no_heartbeat", "no_lease_beat", "sweeps_wait", "ticks_wait"}
)


@dataclass
class _Wait:
    began_s: float
    next_s: float
    heard_s: float


class OutageFilter(logging.Filter):
    """Lets through what waits for Redis when the wait begins, whenever it has doubled, and every minute from then on.

    Each thread's lines count for themselves. Else an hour without Redis is 16,000 lines of each worker process, in
    which nothing else can be found.

    Args:
        now_s: Seconds of a clock that only goes forward.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._waits: dict[tuple[object, ...], _Wait] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be logged."""
        action = getattr(record, "action", None)
        if action == _ANSWERS:
            self._waits.clear()
        if action not in _WAITS:
            return True
        now_s, who = self._now_s(), (action, getattr(record, "queue", None))
        wait = self._waits.get(who)
        if wait is None or now_s - wait.heard_s > _OVER_S:
            wait = self._waits[who] = _Wait(now_s, now_s, now_s)
        wait.heard_s = now_s
        if now_s < wait.next_s:
            return False
        wait.next_s = now_s + min(max(now_s - wait.began_s, _FIRST_SILENCE_S), LONGEST_SILENCE_S)
        return True


def log_plainly() -> None:
    """Have the records of this process written to standard error, a line each."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    tell_outages_seldom()


def tell_outages_seldom() -> None:
    """Have whatever logs here leave out what is said again and again while Redis is away."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, OutageFilter) for one in handler.filters):
            handler.addFilter(OutageFilter())
