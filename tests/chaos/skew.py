"""A process on a host whose clock is wrong."""

from __future__ import annotations

import time


def set_wrong(skew_s: float) -> None:
    """Let this process's wall clock be wrong by so many seconds, for whoever asks `time`."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + skew_s
    time.time_ns = lambda: right_ns() + int(skew_s * 1e9)
