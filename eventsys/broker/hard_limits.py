"""Noticing coroutine handlers that ignore their cancellation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dramatiq.middleware.time_limit import TimeLimitExceeded

from .interrupts import GRACE_S
from .messages import Received

#: The longest that anything waits for, in seconds.
_LONGEST_S = threading.TIMEOUT_MAX / 4


class HardLimits:
    """Watches, from a thread of its own, when coroutines should have ended at the latest.

    The event loop cancels them at their limit. It cannot when a coroutine swallows the cancellation, or blocks the loop
    itself: then `on_stuck` is called, `GRACE_S` after the limit.

    Args:
        on_stuck: Called with the message of the stuck handler and the error it ends with.
    """

    def __init__(self, on_stuck: Callable[[Received, BaseException], None]) -> None:
        self._on_stuck = on_stuck
        self._limits: dict[int, tuple[float, Received]] = {}
        self._changed = threading.Condition()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None
        #: Told of the earliest of the hard limits when it may have changed, under the key 0.
        self.publish: Callable[[int, float], None] | None = None

    def enter(self, message: Received, limit_ms: float) -> None:
        """Begin to watch the handler of `message`, which may run for `limit_ms`."""
        # What no clock can wait for is no limit, and must not end the thread that waits.
        at = time.monotonic() + min(limit_ms / 1000 if limit_ms == limit_ms else _LONGEST_S, _LONGEST_S) + GRACE_S
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="eventsys-hard-limits", daemon=True)
                thread.start()
                self._thread = thread  # last: what is here runs
            self._limits[id(message)] = (at, message)
            self._publish()
            if at < self._wakes_at:
                self._wakes_at = at
                self._changed.notify_all()

    def leave(self, message: Received) -> None:
        """Stop watching: the handler has ended."""
        with self._changed:
            self._limits.pop(id(message), None)
            self._publish()

    def next(self) -> float:
        """Return when, on the monotonic clock, the next handler will count as stuck; infinity when none runs."""
        with self._changed:
            return self._earliest()

    def _publish(self) -> None:
        if self.publish is not None:
            self.publish(0, self._earliest())

    def _earliest(self) -> float:
        return min((at for at, _ in self._limits.values()), default=float("inf"))

    def _run(self) -> None:
        while True:
            with self._changed:
                wait_s = None if self._wakes_at == float("inf") else max(0.0, self._wakes_at - time.monotonic())
                self._changed.wait(wait_s)
                now = time.monotonic()
                stuck = [message for at, message in self._limits.values() if at <= now]
                for message in stuck:
                    del self._limits[id(message)]
                earliest = self._earliest()
                # With nothing to watch it keeps what was planned, or every handler that begins would wake it.
                self._wakes_at = self._wakes_at if earliest == float("inf") and self._wakes_at > now else earliest
            for message in stuck:
                self._on_stuck(message, TimeLimitExceeded())
