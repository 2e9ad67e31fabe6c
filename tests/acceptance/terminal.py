"""Commands in a real terminal, with a person's keys."""

from __future__ import annotations

import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pexpect

from tests.quality.tree import ROOT

#: Seconds until a line must be there; a busy machine takes long to start an interpreter.
WITHIN_S = 180


class Terminal:
    """A command in a pseudo terminal.

    Args:
        arguments: Those of Python.
        directory: Where it runs.
    """

    def __init__(self, *arguments: str, directory: Path) -> None:
        self._mark = uuid.uuid4().hex
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVENTSYS_", "REDIS_URL"))}
        own = {"PYTHONPATH": str(ROOT), "MARK": self._mark, "TERM": "xterm-256color"}
        kept.pop("NO_COLOR", None)
        self._directory = directory
        self.child = pexpect.spawn(
            sys.executable, ["-u", *arguments], cwd=str(directory), env={**kept, **own},  # type: ignore[arg-type]
            encoding="utf-8", codec_errors="replace", timeout=WITHIN_S, dimensions=(40, 160),
        )  # fmt: skip

    def sees(self, text: str) -> None:
        """Return when a text is there that was not read yet."""
        self.child.expect_exact(text)

    def read_since(self) -> str:
        """Return what was read before the text that was last seen."""
        return str(self.child.before)

    def press_ctrl_c(self) -> None:
        self.child.sendintr()

    def close_window(self) -> None:
        """Close the terminal while the command runs: the system hangs up on it."""
        self.child.ptyproc.fileobj.close()

    def end(self) -> int | None:
        """Wait for its end, and return its exit code."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus

    def left_processes(self) -> list[int]:
        """Return what runs of it: known by the environment, or by working in its directory, as Redis does."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if self._belongs(Path("/proc", str(pid)))]

    def kill(self) -> None:
        """End it and all it started."""
        self.child.close(force=True)
        for pid in self.left_processes():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def _belongs(self, process: Path) -> bool:
        try:
            if f"MARK={self._mark}".encode() in (process / "environ").read_bytes():
                return True
            return str((process / "cwd").readlink()).startswith(str(self._directory))
        except OSError:
            return False
