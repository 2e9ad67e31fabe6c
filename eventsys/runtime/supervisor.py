"""Keeping the worker processes of one command running."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from eventsys.broker.lease import Lease
from eventsys.errors import EmbeddedRedisError
from eventsys.runtime.back_off import BackOff
from eventsys.runtime.child import PLAIN, Child, Program
from eventsys.runtime.development.options import Development
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.embedded_keeper import EmbeddedKeeper
from eventsys.runtime.leases import LeaseKeeper
from eventsys.runtime.liveness import LivenessFile
from eventsys.runtime.stop_signals import stop_signals
from eventsys.runtime.worker_process import START_FAILED
from eventsys.settings import load_settings

#: Failed starts in a row, without one that succeeds, after which the supervisor gives up.
MOST_FAILED_STARTS = 5

#: Seconds after SIGTERM at which worker processes are killed.
DRAIN_S = 30.0

#: The part of that which a process gives its handlers; the rest is for committing what they left.
_OWN_SHARE = 0.9

#: What a worker does besides when it is not in development: nothing.
NO_DEVELOPMENT = Development()

#: Seconds beyond its hard limit that a process has to end itself before it is killed.
KILL_AFTER_S = 5.0

#: Seconds without a sign of life after which a process is killed, unless a handler runs there whose own limit decides.
#: For so long others wait for what a process holds that does nothing any more. Were it shorter, calls that keep the
#: interpreter and have no limit would be cut off, each time they are made again.
SILENT_S = 300.0

#: Seconds without having begun to work after which that is told: an import may hang, and nothing else would say so.
BEGINS_WITHIN_S = 60.0

#: Seconds between two looks at the limits of all processes.
_LOOK_S = 0.5

logger = logging.getLogger(__name__)


def supervise(
    modules: Sequence[str],
    *,
    processes: int,
    threads: int | None = None,
    queues: Sequence[str] | None = None,
    directory: Path = Path(".eventsys"),
    liveness_file: Path | None = None,
    development: Development = NO_DEVELOPMENT,
    leading: Program = PLAIN,
    drain_s: float = DRAIN_S,
) -> int:
    """Run worker processes until a signal asks to end, and return the exit code.

    Without a configured Redis, the embedded one runs as long as this does; where it dies it is started again.

    Args:
        modules: What holds the handlers and the service.
        processes: How many processes.
        threads: Threads in each; None: as the service is configured.
        queues: The queues to read; None: all.
        directory: Where the embedded Redis keeps its data.
        liveness_file: What is touched every second as long as this goes on; None: nothing is.
        development: What the processes do besides while their application is developed.
        leading: What one of the processes runs, always one and never two.
        drain_s: Seconds that running handlers have at the end before they are killed.

    Returns:
        0 after a clean stop, 1 when the application cannot be started or a handler had to be killed at the end.

    Raises:
        LivenessFileError: If the liveness file cannot be written; no worker process was started then.
    """
    arguments = [*modules, *_options(threads, queues), *development.arguments()]
    embedded = EmbeddedKeeper(EmbeddedRedis(directory))
    environ = dict(os.environ)
    supervisor = Supervisor(
        arguments, processes=processes, environ=environ, liveness_file=liveness_file, leading=leading, drain_s=drain_s
    )
    with supervisor.signals():
        if load_settings().redis_url is None:
            try:
                environ["EVENTSYS_REDIS_URL"] = embedded.start()
            except EmbeddedRedisError as error:
                # The application may name its Redis in code. If it does not, its processes fail with this very error.
                logger.warning("no embedded Redis: %s", error)
        try:
            return supervisor.run()
        finally:
            embedded.close()


def _options(threads: int | None, queues: Sequence[str] | None) -> list[str]:
    return [
        *(["--threads", str(threads)] if threads is not None else []),
        *(["--queues", *queues] if queues is not None else []),
    ]


class Supervisor:
    """Starts worker processes, replaces dead ones, and ends them all when it is told to end.

    A process that dies is replaced after 0.1 s, later and later when it dies young again: up to 1 s if it had begun to
    work, 10 s if it had not. The others never notice. The
    children end with the supervisor, however it ends. It renews their leases as long as they live, and kills one whose
    handler is stuck so badly that the process cannot end itself, or which has shown no sign of life for `SILENT_S`.

    Args:
        arguments: Those of every worker process.
        processes: How many.
        environ: Their environment.
        liveness_file: As for `supervise`.
        leading: As for `supervise`.
        drain_s: As for `supervise`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        processes: int,
        environ: Mapping[str, str],
        liveness_file: Path | None = None,
        leading: Program = PLAIN,
        drain_s: float = DRAIN_S,
    ) -> None:
        own_drain_ms = int(drain_s * _OWN_SHARE * 1000)
        self._arguments = [*arguments, "--drain-ms", str(own_drain_ms)]
        self._drain_s = drain_s
        self._leading = leading
        self._processes = processes
        self._environ = environ
        self._liveness = LivenessFile(liveness_file)
        self._children: list[Child] = []
        self._starts_at: list[float] = []
        self._back_off = BackOff()
        self._failed_starts = 0
        self._start_error: str | None = None
        self._keeper: LeaseKeeper | None = None
        self._stops = 0
        self._was_interrupted_twice = False
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)

    def run(self) -> int:
        """Supervise until told to end, and return the exit code; the processes end in order, whatever this raises."""
        self._liveness.begin()
        self._starts_at = [0.0] * self._processes
        try:
            while not self._stops and self._start_error is None:
                self._start_due()
                self._say_well()
                self._wait(self._next_look_s())
                self._tend()
        finally:
            is_clean = self._end_children()
            if self._keeper is not None:
                self._keeper.close()
            self._liveness.remove()
        if self._start_error is not None:
            sys.stderr.write(f"the workers cannot start: {self._start_error}\n")
            return 1
        return 0 if is_clean else 1

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take signals as requests to end, and wake up when a child dies.

        After one of them the others are ignored for good: this process is about to end, and says with which code.
        """
        handlers = {**dict.fromkeys(stop_signals(), self._on_stop), signal.SIGCHLD: _nothing}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        waker = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(waker)
            for number, handler in before.items():
                is_over = self._stops and number != signal.SIGCHLD
                signal.signal(number, signal.SIG_IGN if is_over else handler)

    def _on_stop(self, number: int, _: FrameType | None) -> None:
        self._was_interrupted_twice |= self._stops > 0 and number == signal.SIGINT
        self._stops += 1

    def _say_well(self) -> None:
        """Touch the liveness file, unless all there is was killed and lives on: nobody here can mend that."""
        if not self._children or not all(child.is_killed for child in self._children):
            self._liveness.beat()

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [at for at in self._starts_at if at <= now]
        self._starts_at = [at for at in self._starts_at if at > now]
        for _ in due:
            is_led = any(one.program is self._leading for one in self._children)
            try:
                child = Child(self._arguments, self._environ, PLAIN if is_led else self._leading)
            except OSError as error:
                logger.error("no process can be started now: %s", error, extra={"action": "process_not_started"})
                self._starts_at.append(now + self._back_off.after(0.0, has_worked=False))
                continue
            self._children.append(child)
            logger.info("process %d started", child.pid, extra={"action": "process_started", "pid": child.pid})

    def _next_look_s(self) -> float:
        now = time.monotonic()
        return max(0.0, min([_LOOK_S, *(at - now for at in self._starts_at)]))

    def _wait(self, seconds: float) -> None:
        # Not select.select: it knows no descriptor beyond 1023, and a few hundred processes need more.
        waiting = select.poll()
        for descriptor in (self._wake, *(child.report for child in self._children if not child.is_mute)):
            waiting.register(descriptor, select.POLLIN)
        waiting.poll(seconds * 1000)
        try:
            while os.read(self._wake, 4096):
                pass
        except BlockingIOError:
            pass

    def _tend(self) -> None:
        for child in list(self._children):
            self._listen(child)
            code = child.exit_code()
            if code is not None:
                self._bury(child, code)
                continue
            child.look()
            if not child.is_killed:
                self._kill_stuck(child)
                self._tell_late(child)
            self._see_to_lease(child)

    def _kill_stuck(self, child: Child) -> None:
        if time.monotonic() > child.hard_limit() + KILL_AFTER_S:
            why = "is stuck in a handler and cannot end itself"
        elif child.silent_s > SILENT_S:
            why = f"has done nothing for {child.silent_s:.0f} s: something in it keeps the interpreter"
        else:
            return
        extra = {"action": "process_killed", "pid": child.pid}
        logger.critical("process %d %s; it is killed", child.pid, why, extra=extra)
        child.kill()

    def _tell_late(self, child: Child) -> None:
        """Say once of a process that it has not begun to work, unless it has said why it cannot."""
        has_said = child.has_started or child.start_error is not None
        if has_said or child.is_told_late or child.begun_s() < BEGINS_WITHIN_S:
            return
        child.is_told_late = True
        logger.warning(
            "process %d has not begun to work after %.0f s: it still loads its application, or waits for Redis; what it"
            " is at is shown by py-spy dump --pid %d", child.pid, child.begun_s(), child.pid,
            extra={"action": "process_begins_late", "pid": child.pid},
        )  # fmt: skip

    def _listen(self, child: Child) -> None:
        for said in child.hear():
            if "begins" in said:
                child.begins_anew()
            child.start_error = said.get("start_error", child.start_error)
            child.is_leaving = child.is_leaving or "leaving" in said
            if self._keeper is not None and child.presence is not None and (child.is_leaving or "presence" in said):
                # It is about to end its lease itself, or goes on under another name.
                self._keeper.let_go(child.presence)
            if "started" in said:
                self._failed_starts, child.has_started = 0, True
            if "presence" in said:
                child.presence = said["presence"]
                if self._keeper is None:
                    self._keeper = LeaseKeeper(said["url"], said["bus"], Lease(*said["lease"]))
                self._keeper.keep(said["presence"])

    def _see_to_lease(self, child: Child) -> None:
        """Renew the lease of a process that may be busy; from one that is stopped, or killed, others take over."""
        if self._keeper is None or child.presence is None or child.is_leaving:
            return
        if child.is_stopped or child.is_killed:
            self._keeper.let_go(child.presence)
        else:
            self._keeper.keep(child.presence)

    def _bury(self, child: Child, code: int) -> None:
        self._listen(child)
        self._children.remove(child)
        if child.presence is not None and self._keeper is not None:
            self._keeper.end(child.presence, child.begun())
        child.close()
        if self._stops:
            return
        logger.error(
            "process %d ended with %s and is replaced", child.pid, _described(code),
            extra={"action": "process_died", "pid": child.pid, "exit_code": code},
        )  # fmt: skip
        if code == START_FAILED and not child.has_started:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                self._start_error = child.start_error or _described(code)
        pause_s = self._back_off.after(child.age_s(), has_worked=child.has_started)
        self._starts_at.append(time.monotonic() + pause_s)

    def _end_children(self) -> bool:
        """End all children, by force those that take too long, and say whether none did."""
        self._stops += self._stops == 0
        deadline = time.monotonic() + self._drain_s
        for child in self._children:
            child.terminate()
        is_clean = True
        while self._children:
            if time.monotonic() >= deadline or self._was_interrupted_twice:
                is_clean = False
                for child in self._children:
                    child.kill()
            self._say_well()
            self._wait(_LOOK_S)
            self._tend()
        return is_clean


def _described(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _nothing(_: int, __: FrameType | None) -> None:
    """Let the signal wake the supervisor, and nothing more."""
