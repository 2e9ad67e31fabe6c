"""Python's garbage collector in a process that handles messages, or requests."""

from __future__ import annotations

import gc

#: New containers after which the young ones are looked at, and how many such looks lie between two at the older ones.
#: Python's own 700 are reached by every fetch of messages, none of which is garbage yet; as many as are held of a queue
#: at most have about 16,000, and must not make it look either.
THRESHOLDS = (50_000, 4, 50)


def settle_garbage() -> None:
    """Have the collector look at what each leaves behind, seldom, and never again at what was loaded before."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
