"""How long claims last that end by themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Leases:
    """The times after which others take over.

    Takeover takes at most `process_ms` and one scan. Shorter leases make it faster and a pause of a process costlier:
    what it had begun is done again elsewhere. An empty queue must be waited for at a time for less than `process_ms`.

    Attributes:
        process_ms: How long a process counts as alive after its last beat.
        beat_s: Seconds between beats: a third of the lease, so that two beats may be lost before it ends.
        scan_s: Seconds between two looks for dead processes.
        leader_ms: How long the poller leads after it last said so.
        renew_s: Seconds between two renewals of that: a third of it.
    """

    process_ms: int = 12_000
    beat_s: float = 4.0
    scan_s: float = 2.0
    leader_ms: int = 3_000
    renew_s: float = 1.0

    @classmethod
    def of(cls, seconds: float) -> Leases:
        """Return leases that let processes be taken over `seconds` after their last beat, and the rest in proportion."""
        return cls(
            process_ms=int(seconds * 1000),
            beat_s=seconds / 3,
            scan_s=seconds / 6,
            leader_ms=int(seconds * 250),
            renew_s=seconds / 12,
        )
