"""One worker process: `python -m eventsys.runtime.worker_process`, which the supervisor starts."""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from eventsys.broker.begun_board import BegunBoard
from eventsys.broker.broker import EventBroker
from eventsys.broker.worker import Worker
from eventsys.errors import EventsysError
from eventsys.runtime.development.options import Development, add_arguments, read
from eventsys.runtime.discovery import discover, find_service
from eventsys.runtime.limit_board import LimitBoard
from eventsys.runtime.stop_signals import stop_signals
from eventsys.store.location import redis_url_of

if TYPE_CHECKING:
    from eventsys.runtime.development.assistant import Assistant

# What only development needs is imported where it is asked for: workers start without it.

#: Exit codes: the application could not be imported or has no service; a thread that is needed died.
START_FAILED = 3
BROKEN = 70

#: Seconds between two looks at the threads.
_LOOK_S = 0.25

#: Seconds between two beats for the supervisor.
_BEAT_S = 0.5

#: Milliseconds that running handlers have when the process is to end; below the supervisor's own patience.
_DRAIN_MS = 27_000

#: Seconds after which a thread has to let another one have the interpreter. The threads that fetch and commit need it
#: after each call of the system, and with Python's own five milliseconds they wait while handlers that are fast run out
#: of work. What was measured, and what it costs handlers that compute, is in docs/decisions.md, 42.
_SWITCH_S = 0.001

#: From linux/prctl.h: the signal the kernel sends when the parent dies.
_PR_SET_PDEATHSIG = 1

logger = logging.getLogger(__name__)


class Companion(Protocol):
    """What runs beside a worker, in threads of its own."""

    def stop(self) -> None:
        """End soon; the worker does not wait for it."""


#: Starts a companion, given the service of the process.
StartCompanion = Callable[[Any], Companion]


def main(arguments: Sequence[str] | None = None, beside: StartCompanion | None = None) -> int:
    """Run a worker until a signal asks to end, and return the exit code.

    Args:
        arguments: What the supervisor says; None: the command line.
        beside: Starts what runs beside the worker once that runs; None: nothing does.
    """
    given = _parsed(arguments)
    _die_with(given.parent, given.life)
    stop, workers = threading.Event(), list[Worker]()
    _on_signals(stop, workers)
    development = read(given)
    _log(development)
    sys.setswitchinterval(_SWITCH_S)  # before the application is imported: its own choice holds
    report, loaded_at = _Report(given.report), time.time()
    report.tell(begins=True)
    try:
        service, worker, assistant = _started(given, development, loaded_at, workers, report)
    except (Exception, SystemExit) as error:
        return _start_failed(error, given, development, loaded_at, stop, report)
    report.tell(started=True)
    companion = None if beside is None else beside(service)
    return _run(service, worker, [one for one in (companion, assistant) if one], stop, report, given.drain_ms)


def _log(development: Development) -> None:
    if development.log:
        from eventsys.runtime.development.terminal_log import log_to_terminal

        log_to_terminal(development.log, whole_traces=development.whole_traces)
    else:
        from eventsys.runtime.plain_log import log_plainly

        log_plainly()


def _start_failed(
    error: BaseException,
    given: argparse.Namespace,
    development: Development,
    loaded_at: float,
    stop: threading.Event,
    report: _Report,
) -> int:
    from eventsys.runtime.readable_trace import readable_trace

    report.tell(start_error="".join(traceback.format_exception_only(error)).strip())
    if development.reloads:
        from eventsys.runtime.development.second_start import start_again_when_saved

        # Told without the library's frames: whoever edits the application reads this.
        logger.critical(
            "the application cannot be loaded, and is tried again when it is saved:\n%s", readable_trace(error)
        )
        start_again_when_saved(given.modules, error, stop, loaded_at=loaded_at)
        return 0
    told = "".join(traceback.format_exception(error)) if development.whole_traces else readable_trace(error)
    sys.stderr.write(f"{told.rstrip()}\n")
    return START_FAILED


def _on_signals(stop: threading.Event, workers: list[Worker]) -> None:
    def told(*_: object) -> None:
        was_told = stop.is_set()
        stop.set()
        # Until a worker fetches there is nothing to finish, and its start may wait for as long as Redis is away.
        if not was_told and not any(worker.is_running for worker in workers):
            os._exit(0)

    for number in stop_signals():
        signal.signal(number, told)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--queues", nargs="*", default=None)
    parser.add_argument("--parent", type=int, default=None, help="end with this process")
    parser.add_argument("--life", type=int, default=None, help="descriptor of a pipe whose end means the same")
    parser.add_argument("--report", type=int, default=None, help="descriptor of a pipe to the supervisor")
    parser.add_argument("--drain-ms", type=int, default=_DRAIN_MS, help="milliseconds that handlers have at the end")
    add_arguments(parser)
    parser.add_argument("--board", type=int, default=None, help="descriptor of the board of hard limits")
    parser.add_argument("--begun", type=int, default=None, help="descriptor of the board of begun messages")
    return parser.parse_args(arguments)


def _started(
    given: argparse.Namespace, development: Development, loaded_at: float, workers: list[Worker], report: _Report
) -> tuple[Any, Worker, Assistant | None]:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for name in given.modules:
        discover(name)
    service = find_service(given.modules)
    tell_of_unrun(service.broker.middleware)
    worker = Worker(
        service.broker,
        queues=given.queues,
        worker_threads=given.threads if given.threads is not None else service.settings.bus.worker_count,
        async_concurrency=service.settings.async_concurrency,
    )
    workers.append(worker)
    if given.board is not None:
        board = LimitBoard(given.board)
        worker.publish_limits(board.write)
        # From before anything begins, which may be what keeps the interpreter.
        threading.Thread(target=_beat, args=(board,), name="eventsys-pulse", daemon=True).start()
    if given.begun is not None:
        worker.publish_begun(BegunBoard(given.begun))
    service.broker.emit_after("process_boot")
    assistant = None
    if any(development):
        from eventsys.runtime.development.assistant import Assistant

        assistant = Assistant(service, given.modules, development, loaded_at)
    # Before anything begins: the first message may be one that kills this process.
    report.introduce(service)
    worker.start()
    read_undeclared(service.broker, given.queues or ())
    if assistant is not None:
        assistant.start()
    return service, worker, assistant


def _beat(board: LimitBoard) -> None:
    """Beat from a thread that does nothing else: no Redis that is away holds it up, only who keeps the interpreter."""
    while True:
        board.beat()
        time.sleep(_BEAT_S)


def read_undeclared(broker: EventBroker, asked_for: Sequence[str]) -> None:
    """Read what is asked for and no handler uses now, where the bus has such a queue; warn of the others.

    What was sent before a handler had another queue, and what is tried again of that, is on the former one; its handler
    is found by name. Where the bus has none it is a slip, most likely, unless a subscription at run time is to come.
    """
    declared = broker.get_declared_queues()
    undeclared = [queue for queue in asked_for if queue not in declared]
    if not undeclared:
        return
    try:
        known = broker.work.queue_names.known()
    except EventsysError:
        known = set(undeclared)  # nobody can say so now: to read one that is empty does no harm
    for queue in undeclared:
        if queue in known:
            broker.declare_queue(queue)
        else:
            logger.warning(
                "queue %r is to be read and no handler uses it; those that are used: %s", queue,
                ", ".join(sorted(declared)), extra={"action": "queue_unknown", "queue": queue},
            )  # fmt: skip


def tell_of_unrun(middleware: Iterable[Any]) -> None:
    """Warn of middleware that wants processes beside the workers, which Dramatiq's own command alone runs."""
    for one in middleware:
        if getattr(one, "forks", None):
            logger.warning(
                "%s has functions for processes of their own (forks), and this command runs none, so nobody serves what"
                " they would; start the workers by the dramatiq command, or use eventsys' own metrics: docs/metrics.md",
                type(one).__name__, extra={"action": "processes_not_run", "middleware": type(one).__name__},
            )  # fmt: skip


def _run(
    service: Any,
    worker: Worker,
    companions: Sequence[Companion],
    stop: threading.Event,
    report: _Report,
    drain_ms: int,
) -> int:
    broken = False
    while not stop.wait(_LOOK_S) and not broken:
        if dead := worker.dead_threads():
            logger.critical("%s ended; this process is of no use any more", ", ".join(dead))
            broken = True
        report.introduce(service)
    for companion in companions:
        companion.stop()
    worker.stop(0 if broken else drain_ms)
    report.tell(leaving=True)
    worker.broker.emit_before("process_stop")
    service.stop()
    if broken:
        # A thread that hangs must not keep a process alive that is to be replaced.
        logging.shutdown()
        os._exit(BROKEN)
    return 0


def _die_with(parent: int | None, life: int | None) -> None:
    """End with the parent, even when it is killed: by the kernel's hand on Linux, by the end of a pipe elsewhere."""
    if sys.platform == "linux" and parent is not None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(BROKEN)
    if life is not None:
        threading.Thread(target=_wait_for_end, args=(life,), name="eventsys-life", daemon=True).start()


def _wait_for_end(life: int) -> None:
    os.read(life, 1)
    os._exit(BROKEN)


class _Report:
    """What the supervisor is told, one JSON object a line."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._known_as = ""

    def introduce(self, service: Any) -> None:
        """Say under which name this process holds messages, if that is new: a lost lease changes it."""
        name = service.broker.presence.name
        if name != self._known_as:
            self._known_as = name
            settings = service.settings
            self.tell(presence=name, url=redis_url_of(settings), bus=settings.name, lease=service.broker.work.lease)

    def tell(self, **facts: Any) -> None:
        """Send some facts."""
        if self._descriptor is not None:
            os.write(self._descriptor, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
