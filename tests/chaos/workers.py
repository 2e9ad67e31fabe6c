"""Worker processes that are killed, paused and replaced."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event as Signal
from typing import Any

THREADS = 8
"""Handler threads a worker."""

WAIT_MS = 300
"""How long an empty queue is waited for at a time; less than the shortest lease."""

KINDS = {"dramatiq": "dramatiq", "eventsys": "eventsys.broker.worker"}
"""Where each kind of worker is defined."""


def work(kind: str, is_ready: Signal) -> None:
    """Run one worker until SIGTERM: what a worker process does."""
    from .app import events, has_begun

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker_class: Any = importlib.import_module(KINDS[kind]).Worker
    worker = worker_class(events.broker, worker_threads=THREADS, worker_timeout=WAIT_MS)
    worker.start()
    threading.Thread(target=lambda: has_begun.wait() and is_ready.set(), daemon=True).start()
    stop.wait()
    worker.stop()
    events.stop()


class WorkerPool:
    """A number of worker processes; one that is killed is replaced at once.

    They are forked from a process that has imported the application and opened nothing, so that a new one works after
    some milliseconds and is worth killing again.

    Args:
        count: How many.
        kind: Which worker: `dramatiq`, the stock one, or `eventsys`, ours.
    """

    def __init__(self, count: int, kind: str) -> None:
        self._kind = kind
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.chaos.app", KINDS[kind]])
        self._workers: list[tuple[ForkServerProcess, Signal]] = [self._begin() for _ in range(count)]

    def __len__(self) -> int:
        return len(self._workers)

    def wait_until_ready(self, number: int) -> None:
        """Return when a worker has begun to handle something, or after 10 s."""
        self._workers[number][1].wait(10)

    def kill(self, number: int) -> int:
        """End a worker with SIGKILL; return its pid, once it is gone and another has begun."""
        process, _ = self._workers[number]
        process.kill()
        process.join()
        self._workers[number] = self._begin()
        return _pid(process)

    def pause(self, number: int) -> int:
        """Stop a worker with SIGSTOP, and return its pid."""
        self.wait_until_ready(number)
        process, _ = self._workers[number]
        os.kill(_pid(process), signal.SIGSTOP)
        return _pid(process)

    def stop(self, timeout_s: float) -> list[int | None]:
        """End all workers with SIGTERM, and return their exit codes: None for one that did not end."""
        for process, _ in self._workers:
            process.terminate()
        for process, _ in self._workers:
            process.join(timeout_s)
        codes = [process.exitcode for process, _ in self._workers]
        for process, _ in self._workers:
            process.kill()
        return codes

    def _begin(self) -> tuple[ForkServerProcess, Signal]:
        is_ready = self._context.Event()
        process = self._context.Process(target=work, args=(self._kind, is_ready), daemon=True)
        process.start()
        return process, is_ready


def _pid(process: ForkServerProcess) -> int:
    assert process.pid is not None
    return process.pid
