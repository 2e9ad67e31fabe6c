"""The time every process of one bus agrees on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Seconds after which a Redis that did not answer is asked again.
_ASK_AGAIN_S = 5.0

#: Seconds after which a reading is old: Redis's own clock may have been set since, or another Redis leads.
_OLD_S = 30.0


class Clock:
    """Redis's time, carried forward between readings by this host's boot clock.

    Hosts whose wall clocks are wrong, or jump, agree all the same, because none of them is asked. Whoever wants the
    time first has Redis asked; only while that does not answer the wall clock stands in. Where no heartbeat reads it
    again and again, as in a process that only publishes, whoever wants it when a reading is old has Redis asked anew.

    Attributes:
        ask: Asks Redis, and calls `set_from`; called by whoever wants the time, when it is not known or old.

    A test may turn it: then it stands still until it is turned further, and only `real_ms` and `monotonic` go on.
    """

    def __init__(self) -> None:
        self._offset_ms = time.time() * 1000 - _boot_ms()
        self._turned_ms: int | None = None
        self._set_at = self._old_at = float("-inf")
        self._asked_at = float("-inf")
        self._asking = threading.RLock()
        self._is_asked_beside = False
        self.ask: Callable[[], None] | None = None

    def now_ms(self) -> int:
        """Return the time in whole milliseconds since 1970 (UTC)."""
        if self._turned_ms is not None:
            return self._turned_ms
        if _clock_gettime(_BOOT_CLOCK) > self._old_at:
            self._learn()
        return int(_clock_gettime(_BOOT_CLOCK) * 1000 + self._offset_ms)

    def known_ms(self) -> int:
        """Return what `now_ms` does, as far as that is known without asking Redis: where nothing may be opened yet."""
        return int(_boot_ms() + self._offset_ms) if self._turned_ms is None else self._turned_ms

    def until_s(self, moment_ms: int) -> float:
        """Return the seconds until `now_ms` is `moment_ms`, to the fraction of a millisecond; 0 or less when it is."""
        if self._turned_ms is not None:
            return (moment_ms - self._turned_ms) / 1000
        return (moment_ms - (_boot_ms() + self._offset_ms)) / 1000

    def now(self) -> datetime:
        """Return the time as an aware UTC datetime."""
        return from_ms(self.now_ms())

    def real_ms(self) -> int:
        """Return the time that leases are measured in: `now_ms`, but never a time that a test has turned."""
        if self.monotonic() > self._old_at:
            self._learn()
        return int(_boot_ms() + self._offset_ms)

    def refresh(self) -> None:
        """Have Redis asked where its time is not known or old: for who is about to wait for Redis, on a loop too."""
        if self._turned_ms is None and self.monotonic() > self._old_at:
            self._ask()

    def turn_to(self, moment_ms: int) -> None:
        """Stand still at a moment, in milliseconds since 1970: the time of a test."""
        self._turned_ms = moment_ms

    def go_on(self) -> None:
        """Show the real time again after `turn_to`."""
        self._turned_ms = None

    def monotonic(self) -> float:
        """Return seconds that only grow, while the host sleeps too; for leases and time-outs, never shown to a user."""
        return _clock_gettime(_BOOT_CLOCK)

    def set_from(self, redis_ms: float, *, asked_at: float, answered_at: float) -> None:
        """Take over a reading of Redis's clock.

        Args:
            redis_ms: What Redis said, in milliseconds.
            asked_at: `monotonic()` before the question.
            answered_at: `monotonic()` after the answer; the reading is taken to belong to the middle of the two.
        """
        age_ms = (self.monotonic() - (asked_at + answered_at) / 2) * 1000
        self._offset_ms = redis_ms + age_ms - _boot_ms()
        self._set_at, self._old_at, self._asked_at = answered_at, answered_at + _OLD_S, float("-inf")

    def forget_process(self) -> None:
        """In a forked child: whoever asks just now asks in the parent."""
        self._asking, self._is_asked_beside, self._asked_at = threading.RLock(), False, float("-inf")

    def age_s(self) -> float:
        """Return the seconds since Redis's clock was last read; infinity if it never was."""
        return self.monotonic() - self._set_at

    def _learn(self) -> None:
        """Have Redis asked: at once where the time is not known, else beside the caller, as on an event loop."""
        if self._is_known() or _is_on_loop():
            self._ask_beside()
        else:
            self._ask()

    def _ask_beside(self) -> None:
        if self._may_ask() and not self._is_asked_beside:
            self._is_asked_beside = True
            try:
                threading.Thread(target=self._ask, name="eventsys-clock", daemon=True).start()
            except RuntimeError:  # there is no thread to be had, as at the end of the process: the old time has to do
                self._is_asked_beside = False

    def _ask(self) -> None:
        """Have Redis asked, by one thread at a time; not again at once if it did not answer."""
        asking = self._asking
        if not asking.acquire(timeout=0 if self._is_known() else _ASK_AGAIN_S):
            return  # somebody does; who knows an old time goes on with it
        try:
            if self._may_ask() and self.ask is not None:
                # Said before: asking may want to know the time.
                self._asked_at = self.monotonic()
                self.ask()
        finally:
            self._is_asked_beside = False
            asking.release()

    def _is_known(self) -> bool:
        return self._set_at > float("-inf")

    def _may_ask(self) -> bool:
        now = self.monotonic()
        return self.ask is not None and now > self._old_at and now - self._asked_at >= _ASK_AGAIN_S


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _boot_ms() -> float:
    return _clock_gettime(_BOOT_CLOCK) * 1000


_clock_gettime = time.clock_gettime

# CLOCK_BOOTTIME goes on while a laptop sleeps; where there is none (macOS), the monotonic clock has to do.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

# Making a timedelta costs more than counting with one that is there.
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    """Return the aware UTC datetime that is `milliseconds` after 1970."""
    return _EPOCH + milliseconds * _MILLISECOND


def first_ms(moment: datetime) -> int:
    """Return the first whole millisecond that is not before `moment`, which may be the earliest or last there is."""
    return to_ms(moment) + (moment.microsecond % 1000 > 0)


def last_ms(moment: datetime) -> int:
    """Return the last whole millisecond before `moment`, which may be the earliest or last there is."""
    return to_ms(moment) - (moment.microsecond % 1000 == 0)


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down.

    Raises:
        ValueError: If `moment` has no time zone: the same digits mean different moments on different hosts.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; use an aware datetime such as datetime.now(timezone.utc)")
    return (moment - _EPOCH) // _MILLISECOND
