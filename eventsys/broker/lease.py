"""How soon a dead process is noticed."""

from __future__ import annotations

from typing import NamedTuple


class Lease(NamedTuple):
    """How soon a dead process is noticed: with the usual figures its messages are taken over within 15 s.

    Attributes:
        lease_ms: How long a process counts as alive after its last beat.
        beat_s: Seconds between beats: two may be lost before the lease ends.
        scan_s: Seconds between two looks for dead processes.
        round_s: Seconds between two rounds of a process that is idle and hears of nothing: each looks after everything.
        lead_ms: How long the poller leads after it last said so: the longest that nothing is let go when it dies.
        renew_s: Seconds between two renewals of that.
    """

    lease_ms: int = 12_000
    beat_s: float = 4.0
    scan_s: float = 2.0
    lead_ms: int = 3_000
    renew_s: float = 1.0
    round_s: float = 30.0

    @property
    def sure_s(self) -> float:
        """Seconds after a beat for which surely nobody takes the process for dead.

        A twelfth is left for clocks that differ, and for what is on its way to Redis while the time is counted here.
        """
        return self.lease_ms / 1000 * 11 / 12

    @classmethod
    def of(cls, seconds: float) -> Lease:
        """Return the figures for a lease of `seconds`."""
        return cls(int(seconds * 1000), seconds / 3, seconds / 6, int(seconds * 250), seconds / 12, seconds * 2.5)
