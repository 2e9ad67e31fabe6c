"""Attempts that wait for their commit, and which of them it ends next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from .backlog import Backlog
from .finished import Finished

#: Most attempts one script ends: it blocks Redis for about 10 µs each.
_MOST_AT_ONCE = 200

#: With so many gathered, a commit costs little more than its attempts; it is sent without waiting for more.
_ENOUGH = 64

#: As many of those that were made in one call. The deliveries of an event cost Redis little more than one of them if
#: they end in one script, and the calls for its subscriptions come one after another: so these ends wait for others.
_MOST_BATCHED, _ENOUGH_BATCHED = 512, 256

#: How long an attempt waits for others to end, while others run; the price of a round trip shared by them.
GATHER_S = 0.010


class WaitingEnds:
    """What waits for its commit: whoever handles adds to it, and one thread takes from it.

    Args:
        more_is_coming: Whether this process holds messages that are not over yet.

    Attributes:
        backlog: How much waits, what is being committed included.
        committing: How many were taken and are not ended yet; rather too many than too few at any time.
    """

    def __init__(self, more_is_coming: Callable[[], bool]) -> None:
        self._more_is_coming = more_is_coming
        self._alone, self._batched = deque[Finished](), deque[Finished]()
        self._batched_at = 0.0
        self.committing = 0
        self.backlog = Backlog(lambda: len(self._alone) + len(self._batched) + self.committing)

    def add(self, finished: Finished) -> None:
        """Add an attempt that is over."""
        if finished.weight:
            self.backlog.weigh_all([finished])
        self._alone.append(finished)

    def add_all(self, finished: Sequence[Finished]) -> None:
        """Add many attempts that are over."""
        self.backlog.weigh_all(finished)
        self._alone.extend(finished)

    def add_batch(self, finished: Sequence[Finished]) -> None:
        """Add attempts that were made in one call; they wait some milliseconds for other calls for their events."""
        if not self._batched:
            self._batched_at = time.monotonic()
        self.backlog.weigh_all(finished)
        self._batched.extend(finished)

    def add_again(self, finished: Finished) -> None:
        """Add what was weighed before."""
        self._alone.append(finished)

    def __bool__(self) -> bool:
        return bool(self._alone or self._batched)

    @property
    def has_lone(self) -> bool:
        """Whether some wait that were not made in one call with others."""
        return bool(self._alone)

    @property
    def are_enough(self) -> bool:
        """Whether so many wait that they are to go at once."""
        return len(self._alone) >= _ENOUGH or len(self._batched) >= _ENOUGH_BATCHED

    def take(self, *, at_once: bool = False) -> list[Finished]:
        """Return what is to be ended next; what was made in calls only when it has waited, or `at_once`."""
        before = self.committing
        many = min(len(self._alone), _MOST_AT_ONCE)
        self.committing = before + many
        taken = self.backlog.take(self._alone, many)
        if self._batched and (at_once or self._are_ripe()):
            self.committing += len(self._batched)
            taken += self._take_batched()
        self.committing = before + len(taken)
        return taken

    def _are_ripe(self) -> bool:
        """Say whether what was made in calls is to wait for other calls no longer."""
        if len(self._batched) >= _ENOUGH_BATCHED or not self._more_is_coming():
            return True
        return time.monotonic() - self._batched_at >= GATHER_S

    def _take_batched(self) -> list[Finished]:
        """Return ends of calls; those that share something are together."""
        taken = [self._batched.popleft() for _ in range(min(len(self._batched), _MOST_BATCHED))]
        while (shared := taken[-1].shared) is not None and self._batched and self._batched[0].shared is shared:
            taken.append(self._batched.popleft())
        self._batched_at = time.monotonic()
        return taken
