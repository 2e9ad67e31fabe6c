"""Supervisors that tests start, and what their processes say over Redis."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

import redis

#: Supervises with the times of a test.
PROGRAM = """
import sys
from pathlib import Path
from eventsys.runtime import supervisor
supervisor.KILL_AFTER_S, supervisor.SILENT_S, supervisor.BEGINS_WITHIN_S = map(float, sys.argv[2:])
alive = Path("alive")
sys.exit(supervisor.supervise(["shop"], processes=int(sys.argv[1]), threads=2, liveness_file=alive))
"""


class Supervised:
    """A running supervisor, and what its processes say."""

    def __init__(self, process: subprocess.Popen[bytes], client: redis.Redis, errors: Path) -> None:
        self.process = process
        self._client = client
        self._errors = errors

    def pid_from(self, key: str) -> int:
        """Wait for a process to say something under `key`, and return which one did."""
        said = self._client.blpop([key], 120)
        assert said is not None, f"nobody said {key!r}: {self._errors.read_text()[-2000:]}"
        return int(said[1])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)

    def errors(self) -> str:
        return self._errors.read_text()


def is_gone(pid: int, timeout_s: float = 120.0) -> bool:
    """Wait until a process is gone, and say whether it is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)
