"""The demo's workers: the very command that a user types."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from eventsys.clock import Clock

PROCESSES = 2
THREADS = 4

#: Seconds the workers have to end in order. An idle one takes well below two.
_END_WITHIN_S = 8.0
_LOOK_S = 0.02


class Workers:
    """`eventsys worker actors`, running in a session of its own so that the terminal's Ctrl-C does not reach it.

    Args:
        directory: Where it runs, and writes its log.
        environ: Its environment.
    """

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self._log = directory / "workers.log"
        self._clock = Clock()
        sizes = ["--processes", str(PROCESSES), "--threads", str(THREADS)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "eventsys", "worker", "actors", *sizes],
                cwd=directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def are_running(self) -> bool:
        """Say whether the supervising process lives."""
        return self._process.poll() is None

    def end(self) -> None:
        """Return when every one of its processes is gone."""
        self._process.terminate()
        try:
            self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            # The worker processes end with their supervisor, however it ends.
            self._process.kill()
            self._process.wait()
        self._end_session()

    def last_words(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _end_session(self) -> None:
        until = self._clock.monotonic() + _END_WITHIN_S
        while self._clock.monotonic() < until:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(_LOOK_S)
