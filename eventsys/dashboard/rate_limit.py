"""How often one address may ask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

#: Addresses that are remembered; the one that asked longest ago is forgotten first.
MOST_ADDRESSES = 10_000


#: Letters of an address that tell it apart: behind a proxy that passes on what a header claims it may be any text.
LONGEST_ADDRESS = 64


class RateLimit:
    """Lets each address ask so often a second, and some more at once.

    It counts in this process alone, which is what it protects.

    Args:
        rate: Times a second, over the long run.
        burst: Times at once.
        monotonic: Seconds that only grow.
    """

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._monotonic = monotonic
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, address: str) -> bool:
        """Say whether this address may ask now, and count that it did."""
        now, address = self._monotonic(), address[:LONGEST_ADDRESS]
        with self._lock:
            left, at = self._left.pop(address, (float(self._burst), now))
            left = min(self._burst, left + (now - at) * self._rate)
            may = left >= 1
            self._left[address] = (left - 1 if may else left, now)
            if len(self._left) > MOST_ADDRESSES:
                self._left.popitem(last=False)
        return may
