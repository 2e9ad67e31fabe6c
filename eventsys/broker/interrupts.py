"""Ending handlers that run too long."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from dramatiq import MessageProxy
from dramatiq.middleware import Interrupt
from dramatiq.middleware.time_limit import TimeLimitExceeded
from dramatiq.threading import raise_thread_exception

#: Seconds after its limit at which a handler counts as stuck: C code, or one that swallows the interrupt.
GRACE_S = 5.0

logger = logging.getLogger(__name__)


def time_limit_error() -> BaseException:
    """Return what a handler raises that is ended at its time limit."""
    return TimeLimitExceeded()


def is_interrupt(error: BaseException) -> bool:
    """Say whether an error is one of those that end a handler from outside: a fault of its attempt, not of ours."""
    return isinstance(error, Interrupt)


class _CalledBack(BaseException):
    """Takes the place of an interrupt that would come too late."""


class _Running:
    __slots__ = ("deadline", "is_interrupted", "message")

    def __init__(self, message: MessageProxy, deadline: float) -> None:
        self.message = message
        self.deadline = deadline
        self.is_interrupted = False


class Interrupts:
    """Raises `TimeLimitExceeded` in the thread of a handler when its limit is over, and not a moment after it returned.

    Whoever takes an attempt out of `_running` decides: the thread that leaves it, or the watcher, which then interrupts
    it. So an attempt that was left can no longer be interrupted, and one that was interrupted is never taken for a
    success. A watched thread takes no lock: an interrupt that strikes between taking a lock and the block it guards
    would leave that lock taken for ever. The watcher sleeps until the next limit, also when the handler it belongs to
    has ended; handlers that end in time cost it nothing.

    Args:
        on_stuck: Called, from the watching thread, with a message whose handler goes on after `GRACE_S`, and the error.
    """

    def __init__(self, on_stuck: Callable[[MessageProxy, BaseException], None]) -> None:
        self._on_stuck = on_stuck
        self._running: dict[int, _Running] = {}
        self._struck: dict[int, _Running] = {}
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._starting = threading.Lock()
        self._wakes_at = float("inf")
        self._is_watching = False
        self._is_closed = False
        #: Told of every thread's hard limit as it changes; infinity when the thread is free.
        self.publish: Callable[[int, float], None] | None = None

    def enter(self, message: MessageProxy, limit_ms: float) -> None:
        """Begin to watch the calling thread, which handles `message` for at most `limit_ms`."""
        self._watch(threading.get_ident(), _Running(message, time.monotonic() + limit_ms / 1000))

    def finish(self, do: Callable[[], None]) -> None:
        """Do what no limit may cut off, in the calling thread; one that is over by then strikes right afterwards.

        Args:
            do: Called once, and has to end by itself: meanwhile its handler does not count as stuck.
        """
        thread = threading.get_ident()
        running = self._running.pop(thread, None)
        if running is None:  # nobody watches it, or its limit has struck before
            do()
            return
        if self.publish is not None:
            self.publish(thread, float("inf"))
        try:
            do()
        finally:
            # Not the same one again: the watcher may hold that in its hand, and takes it for left.
            self._watch(thread, _Running(running.message, running.deadline))

    def leave(self) -> None:
        """Stop watching the calling thread; an interrupt on its way to it is called back."""
        thread = threading.get_ident()
        if self.publish is not None:
            self.publish(thread, float("inf"))
        if self._running.pop(thread, None) is not None:
            return
        struck = self._struck.get(thread)
        while struck is not None and not struck.is_interrupted:
            time.sleep(0)
        # The watcher, coming too late for the attempt before, may have held this one in its hand and put it back.
        self._running.pop(thread, None)
        if struck is not None and self._struck.pop(thread, None) is not None:
            _call_back_interrupt()

    def watches_caller(self) -> bool:
        """Say whether the calling thread has to leave: it is watched, or an interrupt may be on its way to it."""
        thread = threading.get_ident()
        return thread in self._running or thread in self._struck

    def next_hard_limit(self) -> float:
        """Return when, on the monotonic clock, the next handler will count as stuck; infinity when none runs."""
        watched = [*list(self._running.values()), *list(self._struck.values())]
        return min((running.deadline for running in watched), default=float("inf")) + GRACE_S

    def close(self) -> None:
        """Let the watcher end, as soon as nothing is watched; the next handler that begins has a new one."""
        self._is_closed = True
        self._wake.put(None)

    def _watch(self, thread: int, running: _Running) -> None:
        self._running[thread] = running
        if not self._is_watching:  # looked at after the line before: a watcher that ends sees what runs, or is seen
            self._start()
        if self.publish is not None:
            self.publish(thread, running.deadline + GRACE_S)
        if running.deadline < self._wakes_at:
            self._wakes_at = running.deadline
            self._wake.put(None)

    def _start(self) -> None:
        with self._starting:
            if not self._is_watching:
                self._is_watching, self._is_closed = True, False
                try:
                    threading.Thread(target=self._run, name="eventsys-interrupts", daemon=True).start()
                except RuntimeError:  # the system has no thread to give; the next handler asks again
                    self._is_watching = False
                    raise

    def _run(self) -> None:
        try:
            while self._running or self._struck or not self._is_closed:
                with suppress(Empty):
                    self._wake.get(timeout=self._wait_s())
                for running in self._strike(time.monotonic()):
                    self._on_stuck(running.message, TimeLimitExceeded())
        finally:
            self._is_watching = False
            if self._running:
                self._start()

    def _wait_s(self) -> float | None:
        if self._wakes_at == float("inf"):
            return None
        # A message of a stranger may name a limit that no clock can wait for.
        return min(max(0.0, self._wakes_at - time.monotonic()), threading.TIMEOUT_MAX / 2)

    def _strike(self, now: float) -> list[_Running]:
        """Interrupt what is over its limit, and return what was interrupted and goes on all the same."""
        planned, self._wakes_at = self._wakes_at, float("inf")
        for thread, running in list(self._running.items()):
            if now >= running.deadline:
                self._interrupt(thread, running)
            else:
                self._wakes_at = min(self._wakes_at, running.deadline)
        stuck = [thread for thread, running in list(self._struck.items()) if now >= running.deadline + GRACE_S]
        popped = [self._struck.pop(thread, None) for thread in stuck]
        going_on = [running for running in popped if running is not None]
        for running in list(self._struck.values()):
            self._wakes_at = min(self._wakes_at, running.deadline + GRACE_S)
        if self._wakes_at == float("inf") and planned > now:
            # What it was woken for has ended meanwhile. With nothing planned, every handler that begins would wake it.
            self._wakes_at = planned
        return going_on

    def _interrupt(self, thread: int, running: _Running) -> None:
        # Before it is taken: a thread that finds its attempt gone must find it here.
        self._struck[thread] = running
        taken = self._running.pop(thread, None)
        if taken is not running:
            # The thread left that attempt in time, and may have begun another one.
            if taken is not None:
                self._running[thread] = taken
            self._struck.pop(thread, None)
            running.is_interrupted = True
            self._wakes_at = min(self._wakes_at, time.monotonic())
            return
        logger.warning(
            "%s exceeded its time limit", running.message,
            extra={"action": "timeout", "message_id": running.message.message_id},
        )  # fmt: skip
        raise_thread_exception(thread, TimeLimitExceeded)
        running.is_interrupted = True


def _call_back_interrupt() -> None:
    """Take back an interrupt that may be on its way to the calling thread.

    Setting no exception in its place is what the C API documents for that, and before Python 3.13 the interpreter then
    goes on looking for it: 3.12 at half its speed, and 3.11 for ever in the next function that a debugger or coverage
    traces. So another exception takes its place, and is caught here.
    """
    with suppress(_CalledBack):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_long(threading.get_ident()), ctypes.py_object(_CalledBack))
        while True:  # until it is there
            pass
