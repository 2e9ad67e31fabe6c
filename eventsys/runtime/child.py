"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from eventsys.broker.begun_board import BegunBoard
from eventsys.runtime.limit_board import LimitBoard
from eventsys.runtime.pulse import Pulse


class Program(NamedTuple):
    """What a worker process runs.

    Attributes:
        module: The module that is run; it understands the arguments of a worker process.
        arguments: More arguments of its own.
        descriptors: Open files that it is given.
    """

    module: str = "eventsys.runtime.worker_process"
    arguments: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


#: A worker, and nothing besides.
PLAIN = Program()


class Child:
    """A running worker process, and the pipes to it.

    Args:
        arguments: Those of a worker process.
        environ: Its environment.
        program: What it runs.

    Raises:
        OSError: If the system starts no process now; nothing is left open.

    Attributes:
        program: What it runs.
        report: The descriptor that becomes readable when the process says something, or is gone.
        born_at: When it was started, on the monotonic clock.
        presence: The name under which it holds messages, once it has said so.
        has_started: Whether it has begun to work.
        is_leaving: Whether it is about to end its lease itself.
        is_stopped: Whether somebody has stopped it, as a debugger does: it does nothing until it is told to go on.
        is_killed: Whether it was killed; one that waits in the system for a disk may live on for as long as that takes.
        silent_s: For how many seconds it has shown no sign of life, beyond what a handler may run that has a limit.
        is_mute: Whether it has closed its end of the pipe, and will say nothing more.
        is_told_late: Whether it was told of this process that it has not begun to work for long.
        start_error: Why it could not start, if it has said so.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], program: Program = PLAIN) -> None:
        self.program = program
        self.presence: str | None = None
        self.has_started = self.is_leaving = self.is_stopped = self.is_killed = False
        self.start_error: str | None = None
        self.born_at = self._begun_at = time.monotonic()
        self.silent_s = 0.0
        self._pulse = Pulse()
        self._heard = b""
        self.is_mute = self.is_told_late = False
        command = [sys.executable, "-m", program.module, *program.arguments, *arguments]
        with ExitStack() as own, ExitStack() as theirs:
            self.report, report = os.pipe()
            own.callback(os.close, self.report)
            theirs.callback(os.close, report)
            life, kept = os.pipe()
            theirs.callback(os.close, life)
            own.callback(os.close, kept)
            self._board, self._begun = (
                own.enter_context(closing(LimitBoard())),
                own.enter_context(closing(BegunBoard())),
            )
            theirs.callback(self._board.close_descriptor)
            theirs.callback(self._begun.close_descriptor)
            boards = (self._board.descriptor, self._begun.descriptor)
            os.set_blocking(self.report, False)
            command += ["--parent", str(os.getpid()), "--life", str(life), "--report", str(report)]
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, "--board", str(boards[0]), "--begun", str(boards[1])],
                env=environ,
                pass_fds=(life, report, *boards, *program.descriptors),
                # Ctrl-C in a terminal goes to the supervisor alone, which then tells its children.
                start_new_session=True,
            )
            self._open = own.pop_all()  # it runs; had it not been started, all would be closed

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def hear(self) -> list[dict[str, Any]]:
        """Return what it has said since the last time."""
        try:
            while said := os.read(self.report, 65536):
                self._heard += said
            self.is_mute = True
        except BlockingIOError:
            pass
        *lines, self._heard = self._heard.split(b"\n")
        return [json.loads(line) for line in lines]

    def exit_code(self) -> int | None:
        """Return its exit code, or None while it lives; a signal's number is negative."""
        return self._process.poll()

    def look(self) -> None:
        """Look whether it lives: `is_stopped` and `silent_s` are known from this, and only if it is called often."""
        self.is_stopped = _is_stopped(self.pid)
        is_excused = self.is_stopped or self.hard_limit() < float("inf")
        self.silent_s = self._pulse.look(self._board.last_beat(), is_excused=is_excused)

    def hard_limit(self) -> float:
        """Return when, on the monotonic clock, its next handler counts as stuck."""
        return self._board.earliest()

    def begun(self) -> list[bytes] | None:
        """Return the marks of what it may have begun and not committed; None where they are too many to tell."""
        return self._begun.marks()

    def age_s(self) -> float:
        """Return for how many seconds it has been running."""
        return time.monotonic() - self.born_at

    def begins_anew(self) -> None:
        """Note that it begins to load its application, as it does again when what could not be loaded was saved."""
        self._begun_at, self.start_error, self.is_told_late = time.monotonic(), None, False

    def begun_s(self) -> float:
        """Return for how many seconds it has been loading its application, or working."""
        return time.monotonic() - self._begun_at

    def terminate(self) -> None:
        """Ask it to end, after its running handlers."""
        self._process.terminate()

    def kill(self) -> None:
        """End it now; a process that is gone already is no error."""
        self.is_killed = True
        self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Close the pipes to it."""
        self._open.close()


def _is_stopped(pid: int) -> bool:
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False  # it is gone, or this system does not tell
    return said.rpartition(")")[2].split()[0] in {"T", "t"}
