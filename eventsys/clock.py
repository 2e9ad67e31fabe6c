"""The time every process of one bus agrees on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Redis's time, carried forward between readings by this host's boot clock.

    Hosts whose wall clocks are wrong, or jump, agree all the same, because none of them is asked. Before the first
    reading the wall clock stands in.

    A test may turn it: then it stands still until it is turned further, and only `real_ms` and `monotonic` go on.
    """

    def __init__(self) -> None:
        self._offset_ms = time.time() * 1000 - _boot_ms()
        self._turned_ms: int | None = None

    def now_ms(self) -> int:
        """Return the time in whole milliseconds since 1970 (UTC)."""
        return int(_boot_ms() + self._offset_ms) if self._turned_ms is None else self._turned_ms

    def now(self) -> datetime:
        """Return the time as an aware UTC datetime."""
        return from_ms(self.now_ms())

    def real_ms(self) -> int:
        """Return the time that leases are measured in: `now_ms`, but never a time that a test has turned."""
        return int(_boot_ms() + self._offset_ms)

    def turn_to(self, moment_ms: int) -> None:
        """Stand still at a moment, in milliseconds since 1970: the time of a test."""
        self._turned_ms = moment_ms

    def go_on(self) -> None:
        """Show the real time again after `turn_to`."""
        self._turned_ms = None

    def monotonic(self) -> float:
        """Return seconds that only grow, while the host sleeps too; for leases and time-outs, never shown to a user."""
        return _boot_ms() / 1000

    def set_from(self, redis_ms: float, *, asked_at: float, answered_at: float) -> None:
        """Take over a reading of Redis's clock.

        Args:
            redis_ms: What Redis said, in milliseconds.
            asked_at: `monotonic()` before the question.
            answered_at: `monotonic()` after the answer; the reading is taken to belong to the middle of the two.
        """
        age_ms = (self.monotonic() - (asked_at + answered_at) / 2) * 1000
        self._offset_ms = redis_ms + age_ms - _boot_ms()


def _boot_ms() -> float:
    return time.clock_gettime(_BOOT_CLOCK) * 1000


# CLOCK_BOOTTIME goes on while a laptop sleeps; where there is none (macOS), the monotonic clock has to do.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_ms(milliseconds: int) -> datetime:
    """Return the aware UTC datetime that is `milliseconds` after 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down.

    Raises:
        ValueError: If `moment` has no time zone: the same digits mean different moments on different hosts.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; use an aware datetime such as datetime.now(timezone.utc)")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
