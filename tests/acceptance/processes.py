"""Real commands in processes of their own, and what they leave behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.quality.tree import ROOT

#: Seconds until something must have happened: a guard, and no promise, since a busy machine takes its time.
WITHIN_S = 180.0


class Command:
    """A command that runs with a directory for temporary files of its own.

    Args:
        arguments: Those of Python.
        directory: An empty directory, where it runs; `tmp` in it is where it may put temporary files.
        environ: More of its environment.
    """

    def __init__(self, *arguments: str, directory: Path, **environ: str) -> None:
        self.directory = directory
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self._mark = f"MARK={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVENTSYS_", "REDIS_URL"))}
        own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary), "XDG_RUNTIME_DIR": str(self.temporary)}
        self.process = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            cwd=directory,
            env=kept | own | environ | {name: value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_end_with_the_tests,
        )

    @property
    def stdout(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def read_until(self, text: str) -> None:
        """Return when it has printed a line with `text`."""
        for line in self.stdout:
            if text in line:
                return
        raise AssertionError(f"it ended without saying {text!r}: {self.process.communicate()[1]}")

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end, and return its exit code and what it printed since it was last read."""
        stdout, stderr = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, stdout, stderr

    def kill(self) -> None:
        """End it and everything it started, whatever the test did."""
        self.process.kill()
        # Before its output is read to the end: what it started may hold that open.
        for pid in self.left_processes():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.process.communicate()

    def left_processes(self) -> list[int]:
        """Return what runs of it or of its children: known by their environment, or by where they work."""
        here = os.getpid()
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if pid != here and self._belongs(Path("/proc", str(pid)))]

    def left_files(self) -> list[Path]:
        """Return what it left in the directory for temporary files."""
        return sorted(self.temporary.iterdir())

    def _belongs(self, process: Path) -> bool:
        try:
            if self._mark.encode() in (process / "environ").read_bytes():
                return True
            # Redis writes over its environment to show its title, but it works in its data directory.
            return str((process / "cwd").readlink()).startswith(str(self.directory))
        except OSError:  # it ended while it was looked at, or is somebody else's
            return False


def _end_with_the_tests() -> None:
    """Have the kernel end this process with the tests, however those end: nothing is to run on behind them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as `condition` holds."""
    until = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen in {WITHIN_S:.0f} s"
        time.sleep(0.05)
