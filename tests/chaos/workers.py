"""Worker processes that are killed, paused and replaced."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from multiprocessing.synchronize import Event as Signal
from typing import Any

from eventsys.broker.begun_board import BegunBoard
from eventsys.clock import Clock
from eventsys.runtime.leases import LeaseKeeper

from .skew import set_wrong

THREADS = 8
"""Handler threads a worker."""

WAIT_MS = 300
"""How long an empty queue is waited for at a time; less than the shortest lease."""

KINDS = {"dramatiq": "dramatiq", "eventsys": "eventsys.broker.worker"}
"""Where each kind of worker is defined."""


SUPERVISED = "eventsys"
"""The kind whose supervisor sees to what a dead worker held; nobody does for the other one."""


class _Descriptor:
    """An open file that becomes the other process's, as a number, when it is handed over."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._number),)


def _received(duplicate: Any) -> int:
    return int(duplicate.detach())


class Watched:
    """A worker process, as its supervisor sees it: what it has begun, and under which name it holds messages."""

    def __init__(self) -> None:
        self.board = BegunBoard()
        self._names, self._name_end = multiprocessing.Pipe(duplex=False)

    def ends(self) -> tuple[Any, Connection]:
        """Return what the process is given."""
        return _Descriptor(self.board.descriptor), self._name_end

    def bury(self, keeper: LeaseKeeper) -> None:
        """Release what the process held, which is dead."""
        # Without a name it died before it held anything.
        if self._names.poll():
            keeper.end(self._names.recv(), self.board.marks())
        self._name_end.close()
        self._names.close()
        self.board.close()


def work(kind: str, is_ready: Signal, application: str, skew_s: float, board: int, tell_name: Connection) -> None:
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
    if kind == SUPERVISED:
        worker.publish_begun(BegunBoard(board))
        tell_name.send(events.broker.presence.name)
    worker.start()
    threading.Thread(target=lambda: has_begun.wait() and is_ready.set(), daemon=True).start()
    stop.wait()
    worker.stop()
    events.stop()


class WorkerPool:
    """A number of worker processes; one that is killed is replaced at once.

    They are forked from a process that has imported the application and opened nothing, so that a new one works after
    some milliseconds and is worth killing again. For workers of eventsys this does what their supervisor does.

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
        self._keeper: LeaseKeeper | None = None
        self._watched: dict[int, Watched] = {}
        self._workers: list[tuple[ForkServerProcess, Signal]] = [self._begin(number) for number in range(count)]

    def __len__(self) -> int:
        return len(self._workers)

    def wait_until_ready(self, number: int) -> None:
        """Return when a worker has begun to handle something, or after 10 s."""
        self._workers[number][1].wait(10)

    def kill(self, number: int, look: Callable[[int], None] = lambda _: None) -> int:
        """End a worker with SIGKILL; return its pid, once it is gone and another has begun.

        Args:
            number: Which.
            look: Called with its pid when it is dead, and nobody has seen yet to what it held.
        """
        process, _ = self._workers[number]
        process.kill()
        process.join()
        look(_pid(process))
        self._bury(number)
        self._workers[number] = self._begin(number)
        return _pid(process)

    def kill_all(self) -> None:
        """End all workers with SIGKILL at once, and begin others when all are gone."""
        for process, _ in self._workers:
            process.kill()
        for number, (process, _) in enumerate(self._workers):
            process.join()
            self._bury(number)
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
        for number in range(len(self._workers)):
            self._bury(number)
        if self._keeper is not None:
            self._keeper.close()
        return codes

    def _bury(self, number: int) -> None:
        watched = self._watched.pop(number)
        if self._kind == SUPERVISED:
            if self._keeper is None:
                settings = importlib.import_module(self._application).events.settings
                self._keeper = LeaseKeeper(os.environ["EVENTSYS_REDIS_URL"], settings.name)
            watched.bury(self._keeper)

    def _begin(self, number: int) -> tuple[ForkServerProcess, Signal]:
        is_ready = self._context.Event()
        watched = self._watched[number] = Watched()
        arguments = (self._kind, is_ready, self._application, self._skews_s[number], *watched.ends())
        process = self._context.Process(target=work, args=arguments, daemon=True)
        process.start()
        return process, is_ready


def _pid(process: ForkServerProcess) -> int:
    assert process.pid is not None
    return process.pid
