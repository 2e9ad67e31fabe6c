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

from eventsys.clock import Clock

from .skew import set_wrong

THREADS = 8
"""Handler threads a worker."""

WAIT_MS = 300
"""How long an empty queue is waited for at a time; less than the shortest lease."""

KINDS = {"dramatiq": "dramatiq", "eventsys": "eventsys.broker.worker"}
"""Where each kind of worker is defined."""


def work(kind: str, is_ready: Signal, application: str, skew_s: float) -> None:
    """Run one worker until SIGTERM: what a worker process does, on a host whose clock is so far wrong."""
    module = importlib.import_module(application)
    events, has_begun = module.events, module.has_begun
    if skew_s:
        set_wrong(skew_s)
        # What it read in the process that this was forked from was right.
        vars(events.broker.clock).update(vars(Clock()), ask=events.broker.clock.ask)
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
        application: The module with the service `events`, and `has_begun`.
        skews_s: By how many seconds the clocks of the first workers are wrong.
    """

    def __init__(
        self, count: int, kind: str, application: str = "tests.chaos.app", *, skews_s: tuple[float, ...] = ()
    ) -> None:
        self._kind = kind
        self._application = application
        self._skews_s = skews_s + (0.0,) * (count - len(skews_s))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([application, KINDS[kind]])
        self._workers: list[tuple[ForkServerProcess, Signal]] = [self._begin(number) for number in range(count)]

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
        self._workers[number] = self._begin(number)
        return _pid(process)

    def kill_all(self) -> None:
        """End all workers with SIGKILL at once, and begin others when all are gone."""
        for process, _ in self._workers:
            process.kill()
        for process, _ in self._workers:
            process.join()
        self._workers = [self._begin(number) for number in range(len(self._workers))]

    def number_of(self, pid: int) -> int | None:
        """Return the number of the worker with a pid, None where it is none of them."""
        return next((number for number, (one, _) in enumerate(self._workers) if one.pid == pid), None)

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

    def _begin(self, number: int) -> tuple[ForkServerProcess, Signal]:
        is_ready = self._context.Event()
        process = self._context.Process(
            target=work, args=(self._kind, is_ready, self._application, self._skews_s[number]), daemon=True
        )
        process.start()
        return process, is_ready


def _pid(process: ForkServerProcess) -> int:
    assert process.pid is not None
    return process.pid
