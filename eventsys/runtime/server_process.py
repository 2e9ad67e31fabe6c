"""Running one Redis server on one data directory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from eventsys.clock import Clock
from eventsys.errors import EmbeddedRedisError
from eventsys.runtime.file_lock import FileLock
from eventsys.runtime.server_binary import ServerBinary, find_server
from eventsys.runtime.server_link import Answer, ServerLink
from eventsys.runtime.stray_server import end_stray_server

AppendFsync = Literal["everysec", "always"]

# Seconds without an answer until a running server is given up, or one that was told to end is.
ANSWER_WITHIN = 10.0
# Seconds after which a server that runs but has no socket is ended: its socket was removed, nobody can reach it.
# A server that is only just starting has its socket within milliseconds.
UNREACHABLE_AFTER = 2.0


class ServerProcess:
    """The server of one data directory, whoever started it.

    The server holds `server.lock` for its whole life: its starter takes the lock and lets the server inherit it. So
    the kernel says whether one is running, and a pid, which another process may have by now, need not be believed.
    Its methods are for one process at a time; the caller holds the lock that serialises starts.

    Args:
        directory: The data directory, with no symbolic link in its path.
        socket: Where the server listens, short enough for a socket.
        binary: The program to start; None to look for one when it is needed.
        appendfsync: When the append-only file is forced to disk.
    """

    def __init__(self, directory: Path, socket: Path, *, binary: ServerBinary | None, appendfsync: AppendFsync) -> None:
        self.directory = directory
        self.link = ServerLink(socket)
        self.pid: int | None = None
        self._binary = binary
        self._appendfsync = appendfsync
        self._clock = Clock()
        self._lock_path = directory / "server.lock"
        self._pid_path = directory / "redis.pid"
        self._log_path = directory / "redis.log"

    def run(self) -> None:
        """Return with the server ready, adopting one that runs and starting one otherwise; sets `pid`.

        Raises:
            EmbeddedRedisError: If there is no server to start, or it does not get ready.
        """
        if not self._wait_until_ready():
            self._launch()
            if not self._wait_until_ready():
                raise EmbeddedRedisError(f"the embedded Redis ended while starting; its log says:\n{self._log_tail()}")
        pid, served = self.link.identify()
        if not served.is_dir() or not served.samefile(self.directory):
            raise EmbeddedRedisError(f"the Redis at {self.link.socket} serves {served}, not {self.directory}; end it")
        self.pid = pid

    def shut_down(self) -> None:
        """Return when the server is gone; everything it accepted is in its append-only file.

        Raises:
            EmbeddedRedisError: If it is still there after 10 s.
        """
        started_at = self._clock.monotonic()
        for wait in _waits():
            if not self.is_running():
                break
            waited = self._clock.monotonic() - started_at
            if waited > ANSWER_WITHIN:
                raise EmbeddedRedisError(
                    f"the embedded Redis {self._name()} did not end in {ANSWER_WITHIN:.0f} s; end it"
                )
            # Told again each time: it may have been starting up, and deaf, when it was told before.
            self.link.tell_to_end()
            if waited > UNREACHABLE_AFTER:
                self.terminate()
            time.sleep(wait)
        self.pid = None

    def is_running(self) -> bool:
        """Return whether a server lives on this data directory, reachable or not."""
        lock = FileLock(self._lock_path)
        try:
            return not lock.try_take()
        finally:
            lock.release()

    def terminate(self) -> None:
        """End the server by a signal, where it can be told for sure which process it is."""
        pid = self.pid if self.pid is not None else self._recorded_pid()
        if pid is not None:
            end_stray_server(pid, directory=self.directory, within=ANSWER_WITHIN)

    def _wait_until_ready(self) -> bool:
        """Wait for the server that is running; False when none is, at once or in the end."""
        answered_at = self._clock.monotonic()
        for wait in _waits():
            answer = self.link.ask()
            if answer is Answer.READY:
                return True
            silent_for = self._clock.monotonic() - answered_at
            if answer is Answer.BUSY:
                answered_at += silent_for
            elif answer is Answer.REFUSED and not self.is_running():
                return False
            elif silent_for > ANSWER_WITHIN:
                raise EmbeddedRedisError(f"the embedded Redis {self._name()} runs but does not answer; end it")
            elif answer is Answer.REFUSED and silent_for > UNREACHABLE_AFTER:
                self.terminate()
            time.sleep(wait)
        raise AssertionError("the waits never end")

    def _launch(self) -> None:
        binary = self._binary if self._binary is not None else find_server()
        if not binary.has_multi_part_aof and (self.directory / "appendonlydir").exists():
            raise EmbeddedRedisError(
                f"{self.directory} was written by Redis 7 or later and {binary.path} is "
                f"{'.'.join(map(str, binary.version))}, which would start empty; use the newer server, "
                "or remove the directory with its data"
            )
        lock = FileLock(self._lock_path)
        lock.take()
        try:
            self._execute([str(binary.path), *self._options()], inherited=lock)
        finally:
            lock.forget()

    def _execute(self, command: list[str], *, inherited: FileLock) -> None:
        # The server makes itself a daemon: it is nobody's child, so it leaves no zombie in a starter that lives on,
        # and it has its own session, so the terminal's Ctrl-C does not reach it.
        try:
            done = subprocess.run(  # noqa: S603 - the program is the caller's choice
                command,
                capture_output=True,
                text=True,
                cwd=self.directory,
                pass_fds=[] if inherited.descriptor is None else [inherited.descriptor],
                start_new_session=True,
                timeout=ANSWER_WITHIN,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedRedisError(f"the embedded Redis could not be started: {error}") from error
        if done.returncode != 0:
            raise EmbeddedRedisError(f"the embedded Redis refused to start: {(done.stderr or done.stdout).strip()}")

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.link.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "daemonize": "yes",
            "pidfile": str(self._pid_path),
            "logfile": str(self._log_path),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _recorded_pid(self) -> int | None:
        try:
            return int(self._pid_path.read_text())
        except (OSError, ValueError):
            return None

    def _name(self) -> str:
        return f"of {self.directory} (its pid file says {self._recorded_pid()})"

    def _log_tail(self) -> str:
        try:
            lines = self._log_path.read_text(errors="replace").splitlines()
        except OSError as error:
            return str(error)
        return "\n".join(lines[-10:])


def _waits() -> Iterator[float]:
    """Yield seconds to wait between two looks: short at first, because a server is ready within milliseconds."""
    wait = 0.001
    while True:
        yield wait
        wait = min(wait * 1.5, 0.1)
