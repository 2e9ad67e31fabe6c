"""The workers that run in a process, of which the middleware hears as if they were one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dramatiq.middleware import MiddlewareError

from .hooks import Hooks


class Booted:
    """Tells the middleware of the first worker that boots and of the last that shuts down.

    An application may start its run-time handlers beside a worker: one poller and one event loop serve all. Each of
    those has a worker of its own that comes and goes with it, so several may stop at once, and one may boot while the
    last that worked waits for its handlers. Then the middleware hears of the boot at once, since what it ended with
    the shutdown is needed again; what is due after a shutdown follows when no worker runs at all.

    Args:
        hooks: The hooks of the middleware.
        hear: Told by Dramatiq's name when the middleware is told that the process begins or ends to work.
    """

    def __init__(self, hooks: Hooks, hear: Callable[[str], None]) -> None:
        self._hooks = hooks
        self._hear = hear
        self.forget_process()

    def forget_process(self) -> None:
        """In a forked child: the workers are the parent's."""
        self._lock = threading.Lock()
        self._telling = threading.RLock()  # the hooks are called in the order in which it turned out that they are due
        self._running: set[Any] = set()
        self._working: set[Any] = set()  # those of them that do not stop yet
        self._is_told = False  # whether the middleware believes that any works
        self._first: Any = None
        self._ended: list[Any] = []

    @property
    def has_any(self) -> bool:
        """Whether a worker runs, or has not ended yet."""
        return bool(self._running)

    def before_boot(self, worker: Any) -> None:
        """Note a worker that boots, and call the hooks if no other one works.

        Raises:
            MiddlewareError: What a hook raises to keep it from booting.
        """
        with self._lock:
            self._running.add(worker)
            self._working.add(worker)
            if self._is_told:
                return
        with self._telling:
            with self._lock:
                if self._is_told:
                    return
                self._is_told, self._first = True, worker
            self._hear("worker_boot")
            try:
                self._hooks.call_before("before_worker_boot", worker)
            except MiddlewareError:
                with self._lock:
                    self._is_told, self._first = False, None
                    self._running.discard(worker)
                    self._working.discard(worker)
                raise

    def after_boot(self, worker: Any) -> None:
        """Call the hooks if they were called before."""
        if self._first is worker:
            self._first = None
            self._hooks.call_after("after_worker_boot", worker)

    def before_shutdown(self, worker: Any) -> None:
        """Note that a worker stops, and call the hooks if it was the last that worked."""
        with self._lock:
            self._working.discard(worker)
            if self._working or not self._is_told:
                return
        with self._telling:
            with self._lock:
                if self._working or not self._is_told:
                    return
                self._is_told = False
                self._ended.append(worker)
            self._hear("worker_shutdown")
            self._hooks.call_before("before_worker_shutdown", worker)

    def after_shutdown(self, worker: Any) -> None:
        """Note that a worker has ended, and if none runs call the hooks for each time that they were called before."""
        with self._lock:
            self._running.discard(worker)
            if self._running or not self._ended:
                return
        with self._telling:
            with self._lock:
                if self._running:
                    return
                ended, self._ended = self._ended, []
            for one in ended:
                self._hooks.call_after("after_worker_shutdown", one)
