"""Ending handlers that run too long."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable

from dramatiq import MessageProxy
from dramatiq.middleware.time_limit import TimeLimitExceeded
from dramatiq.threading import raise_thread_exception

#: Seconds after its limit at which a handler counts as stuck: C code, or one that swallows the interrupt.
GRACE_S = 5.0

logger = logging.getLogger(__name__)


class _Running:
    __slots__ = ("deadline", "message")

    def __init__(self, message: MessageProxy, deadline: float) -> None:
        self.message = message
        self.deadline = deadline


class Interrupts:
    """Raises `TimeLimitExceeded` in the thread of a handler when its limit is over, and not a moment after it returned.

    Whoever takes an attempt out of `_running` decides: the thread that leaves it, or the watcher, which then interrupts
    it under the lock. So an attempt that was left can no longer be interrupted, and one that was interrupted is never
    taken for a success. The watching
    thread sleeps until the next limit; handlers that end in time cost it nothing.

    Args:
        on_stuck: Called, from the watching thread, with a message whose handler goes on after `GRACE_S`, and the error.
    """

    def __init__(self, on_stuck: Callable[[MessageProxy, BaseException], None]) -> None:
        self._on_stuck = on_stuck
        self._running: dict[int, _Running] = {}
        self._struck: dict[int, _Running] = {}
        self._changed = threading.Condition()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None
        #: Told of every thread's hard limit as it changes; infinity when the thread is free.
        self.publish: Callable[[int, float], None] | None = None

    def enter(self, message: MessageProxy, limit_ms: float) -> None:
        """Begin to watch the calling thread, which handles `message` for at most `limit_ms`."""
        deadline = time.monotonic() + limit_ms / 1000
        self._running[threading.get_ident()] = _Running(message, deadline)
        if self.publish is not None:
            self.publish(threading.get_ident(), deadline + GRACE_S)
        if deadline < self._wakes_at:
            with self._changed:
                self._wakes_at = min(self._wakes_at, deadline)
                self._start()
                self._changed.notify_all()

    def leave(self) -> None:
        """Stop watching the calling thread; an interrupt on its way to it is called back."""
        thread = threading.get_ident()
        if self.publish is not None:
            self.publish(thread, float("inf"))
        if self._running.pop(thread, None) is not None:
            return
        with self._changed:
            self._running.pop(thread, None)
            if self._struck.pop(thread, None) is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_long(thread), None)

    def next_hard_limit(self) -> float:
        """Return when, on the monotonic clock, the next handler will count as stuck; infinity when none runs."""
        with self._changed:
            watched = [*list(self._running.values()), *self._struck.values()]
            return min((running.deadline for running in watched), default=float("inf")) + GRACE_S

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="eventsys-interrupts", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            stuck: list[_Running] = []
            with self._changed:
                self._changed.wait(self._wait_s())
                stuck = self._strike(time.monotonic())
            for running in stuck:
                self._on_stuck(running.message, TimeLimitExceeded())

    def _wait_s(self) -> float | None:
        return None if self._wakes_at == float("inf") else max(0.0, self._wakes_at - time.monotonic())

    def _strike(self, now: float) -> list[_Running]:
        """Interrupt what is over its limit, and return what was interrupted and goes on all the same."""
        self._wakes_at = float("inf")
        for thread, running in list(self._running.items()):
            if now >= running.deadline:
                self._interrupt(thread, now)
            else:
                self._wakes_at = min(self._wakes_at, running.deadline)
        stuck = [thread for thread, running in self._struck.items() if now >= running.deadline + GRACE_S]
        going_on = [self._struck.pop(thread) for thread in stuck]
        for running in self._struck.values():
            self._wakes_at = min(self._wakes_at, running.deadline + GRACE_S)
        return going_on

    def _interrupt(self, thread: int, now: float) -> None:
        running = self._running.pop(thread, None)
        if running is None:
            return
        if now < running.deadline:
            # The thread left the attempt that was over and has begun another one.
            self._running[thread] = running
            self._wakes_at = min(self._wakes_at, running.deadline)
            return
        self._struck[thread] = running
        logger.warning(
            "%s exceeded its time limit", running.message,
            extra={"action": "timeout", "message_id": running.message.message_id},
        )  # fmt: skip
        raise_thread_exception(thread, TimeLimitExceeded)
