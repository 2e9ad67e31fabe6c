"""Python's garbage collector in a process that handles messages, or requests."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

#: New containers after which the young ones are looked at, and how many such looks lie between two at the older ones.
#: Python's own 700 are reached by every fetch of messages, none of which is garbage yet; as many as are held of a queue
#: at most have about 16,000, and must not make it look either.
THRESHOLDS = (50_000, 4, 50)

#: Seconds between two looks at everything, and how many times as long as a look took the next one waits at the least.
EVERY_S, SELDOM = 60.0, 1_000


def settle_garbage() -> None:
    """Have the collector look at what each leaves behind, seldom, and never again at what was loaded before."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


class FullLooks:
    """Looks at all garbage once a minute, in a process whose collector was settled.

    With little to do the collector would not come by for hours: errors that are over keep what they saw until it does,
    and Python keeps the tuples it may use again, up to 5 MiB of them, which only a look at everything lets go. That
    takes a millisecond; where an application keeps so much that it takes long, a thousandth of the time.

    Args:
        monotonic: The time in seconds.
        collect: Looks at everything.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, collect: Callable[[], object] = gc.collect
    ) -> None:
        self._monotonic = monotonic
        self._collect = collect
        self._next_at = monotonic() + EVERY_S

    def look(self) -> None:
        """Look, if it is time."""
        began_at = self._monotonic()
        if began_at < self._next_at or gc.get_threshold() != THRESHOLDS:
            return
        self._collect()
        ended_at = self._monotonic()
        self._next_at = ended_at + max(EVERY_S, SELDOM * (ended_at - began_at))
