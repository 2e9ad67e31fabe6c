"""How often, and how far apart, a delivery is tried again."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from eventsys.model.durations import Duration

Backoff: TypeAlias = Literal["exponential"] | None

LONGEST_WAIT = timedelta(hours=1)
"""The cap of exponential backoff; a `retry_delay` above it is kept as it is."""
JITTER = 0.2
"""The part of an exponential wait that chance may take away."""

_MOST_DOUBLINGS = 62  # more cannot matter below the cap, and would only make the numbers long


class RetryPolicy(BaseModel):
    """How often, and how far apart, one subscription retries.

    Without backoff every wait is `retry_delay`. With `exponential` it doubles each time, up to an hour, and is then
    shortened at random by up to a fifth, so that deliveries which failed together do not come back together. It is
    shortened, never lengthened: an hour is a promise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_retries: int = Field(default=3, ge=0)
    """Tries after the first: 3 makes at most four attempts."""
    retry_delay: Duration = timedelta(seconds=5)
    """The wait before the first retry."""
    backoff: Backoff = None

    def wait_before(self, attempt: int, *, random: Random) -> timedelta | None:
        """Return the wait before `attempt`, or None when the attempts are used up.

        Args:
            attempt: The attempt about to be made. The first is 1, so the first retry is 2.
            random: Where jitter comes from; seed it for a repeatable answer.

        Raises:
            ValueError: If `attempt` is below 2. A first attempt never waits.
        """
        if attempt < 2:
            raise ValueError(f"attempt {attempt} is no retry; retries begin with attempt 2")
        if attempt > self.max_retries + 1:
            return None
        if self.backoff is None:
            return self.retry_delay
        return self._doubled(attempt - 2) * (1 - JITTER * random.random())

    def _doubled(self, times: int) -> timedelta:
        longest = max(LONGEST_WAIT, self.retry_delay)
        microseconds = (self.retry_delay // _STEP) << min(times, _MOST_DOUBLINGS)
        return min(microseconds, longest // _STEP) * _STEP


_STEP = timedelta(microseconds=1)
