"""The processes in the storm: whoever ends is begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from .facts import Ended, Stall
from .journal import Journal
from .lives import Lives

_LOOK_S = 0.05

_STALL_S = 0.5
"""Seconds by which a look is late when the machine is too busy."""

_YOUNG_S = 30.0
"""Seconds within which a process may not listen to signals yet: it imports, on a machine that does much else."""

ROOT = Path(__file__).parents[3]
"""Where the project lies."""


class Role:
    """One command of the storm, kept running.

    Attributes:
        name: What it does.

    Args:
        name: What it does.
        command: What Python runs.
        directory: Where it runs, and where its log is written.
        environ: Its environment.
        journal: Where its ends are noted.
    """

    def __init__(
        self, name: str, command: list[str], directory: Path, environ: dict[str, str], journal: Journal
    ) -> None:
        self.name = name
        self._journal = journal
        self._command = [sys.executable, *command]
        self._directory = directory
        self._environ = environ
        self._log = (directory / f"{name}.log").open("ab")
        self._process = self._begin()

    @property
    def pid(self) -> int:
        """Its process now."""
        return self._process.pid

    def children(self) -> list[int]:
        """Return the processes that it has begun and that live."""
        try:
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except OSError:
            return []

    def tend(self) -> None:
        """Begin it again if it has ended."""
        code = self._process.poll()
        if code is not None:
            self._note(code)
            self._process = self._begin()

    def end(self, timeout_s: float) -> int | None:
        """End it with SIGTERM; return its exit code, None if it did not end, 0 if it had not even begun to listen."""
        is_young = time.monotonic() - self._began_at < _YOUNG_S
        self._process.terminate()
        try:
            code = self._process.wait(timeout_s)
            self._note(code)
            return 0 if is_young and code == -signal.SIGTERM else code
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._note(None)
            return None
        finally:
            self._log.close()

    def _note(self, code: int | None) -> None:
        self._journal.note(Ended(self.name, self.pid, time.monotonic(), code))

    def _begin(self) -> subprocess.Popen[bytes]:
        self._began_at = time.monotonic()
        return subprocess.Popen(
            self._command, cwd=self._directory, env=self._environ, stdout=self._log, stderr=subprocess.STDOUT
        )


class Cast:
    """All of them.

    Args:
        directory: Where they run; it holds the application.
        environ: Their environment.
        workers: How many worker processes handle events.
        publishers: How many publish them.
        rate: Events that each publishes a second.
        seed: Decides what publishers do.
        journal: Where the ends of all processes are noted.
    """

    def __init__(
        self,
        directory: Path,
        environ: dict[str, str],
        *,
        workers: int,
        publishers: int,
        rate: float,
        seed: int,
        journal: Journal,
    ) -> None:
        environ = {**environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        eventsys, publisher = ["-m", "eventsys"], ["-m", "tests.chaos.storm.publisher"]
        commands = {
            "worker": [*eventsys, "worker", "application", "--processes", str(workers), "--threads", "8", "--reload"],
            "dispatcher": [*eventsys, "worker", "application", "--processes", "1", "--queues", "eventsys.log"],
            **{f"scheduler-{number}": [*eventsys, "scheduler", "application"] for number in range(2)},
            **{
                f"publisher-{number}": [*publisher, "--rate", str(rate), "--seed", str(seed + number)]
                for number in range(publishers)
            },
        }
        self.roles = {name: Role(name, command, directory, environ, journal) for name, command in commands.items()}
        self._journal, self._lives = journal, Lives()
        self._stopped = threading.Event()
        self._paused: dict[int, threading.Timer] = {}
        self._thread = threading.Thread(target=self._tend, daemon=True)
        self._thread.start()

    def find(self, victim: str, draw: float, leader: int | None) -> int | None:
        """Return the process that a fault strikes, None where there is none now.

        Args:
            victim: One of `plan.VICTIMS`.
            draw: Chooses among those that it may be.
            leader: The process whose poller leads.
        """
        if victim == "leader":
            found = [leader] if leader is not None else []
        elif victim in ("worker", "dispatcher"):
            found = self.roles[victim].children()
        elif victim == "supervisor":
            found = [self.roles["worker"].pid]
        else:
            found = [role.pid for name, role in self.roles.items() if name.startswith(victim)]
        return found[int(draw * len(found))] if found else None

    def pause(self, pid: int, seconds: float) -> None:
        """Stop a process with SIGSTOP, and let it go on after a while."""
        os.kill(pid, signal.SIGSTOP)
        timer = self._paused[pid] = threading.Timer(seconds, self._resume, [pid])
        timer.start()

    def resume_all(self) -> None:
        """Let go on whoever is stopped."""
        for pid, timer in list(self._paused.items()):
            timer.cancel()
            self._resume(pid)

    def end(self, name: str, timeout_s: float) -> dict[str, int | None]:
        """End those whose name begins so, and keep them ended; return exit codes, None for who did not end in time."""
        ending = {one: self.roles.pop(one) for one in list(self.roles) if one.startswith(name)}
        return {one: role.end(timeout_s) for one, role in ending.items()}

    def stop(self) -> None:
        """End all of them at once, whatever they do."""
        self._stopped.set()
        self._thread.join()
        self.resume_all()
        for name in list(self.roles):
            self.end(name, 5.0)

    def _resume(self, pid: int) -> None:
        self._paused.pop(pid, None)
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return  # killed meanwhile

    def _tend(self) -> None:
        while not self._stopped.is_set():
            roles = list(self.roles.values())
            for role in roles:
                role.tend()
            supervised = [(role.name, pid) for role in roles for pid in role.children()]
            for life in self._lives.look(supervised):
                self._journal.note(life)
            slept_at = time.monotonic()
            time.sleep(_LOOK_S)
            if time.monotonic() - slept_at > _STALL_S:
                self._journal.note(Stall(slept_at, time.monotonic()))
