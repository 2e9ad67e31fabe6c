"""How urgent an event is, and the lane it travels in."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """The urgency of an event: it holds in the log, in dispatch, in every queue and for retries.

    Low ones are slower under load but never starve.
    """

    LOW = 1
    NORMAL = 5
    HIGH = 8
    CRITICAL = 10


# A lane is one priority of one queue; most urgent first, the order in which lanes are read.
LANES: tuple[int, ...] = tuple(sorted((int(priority) for priority in Priority), reverse=True))
