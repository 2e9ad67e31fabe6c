"""A Redis of the project's own, shared by its processes."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from eventsys.errors import EmbeddedRedisError, RedisUnavailableError
from eventsys.process_end import before_process_ends, not_before_process_ends
from eventsys.runtime.file_lock import FileLock
from eventsys.runtime.server_binary import ServerBinary
from eventsys.runtime.server_link import Answer
from eventsys.runtime.server_process import AppendFsync, ServerProcess
from eventsys.runtime.server_socket import choose_socket, remove_socket

logger = logging.getLogger(__name__)


class EmbeddedRedis:
    """One user's hold on the Redis server of a data directory.

    All processes that use one directory share one server: the first starts it, later ones adopt it, and the last to
    stop ends it, at the latest when its interpreter exits. Each user holds a shared lock on `lock`, which the kernel
    gives back when the user dies. A server that died is started again by `ensure`, and by the next connection of a
    service without a `redis_url`, with what its append-only file holds: all that was accepted, less the last second
    with `everysec` if the machine itself went down.

    The socket is `redis.sock` in the directory, or in a short private directory when that path is longer than a socket
    address holds; `url` knows.

    When every user was killed with SIGKILL, or ended by a signal nobody handled, the server stays. It holds the data
    and nothing else, and the next start adopts it.

    A forked child starts without a hold on the server, and takes one with the first connection of a service, or by
    `start`: from then on it is a user as its parent is, and starts it again where it died.

    Args:
        directory: The server's own directory; made if missing, and private to the user (0700).
        binary: The program to start; None to find one.
        appendfsync: `everysec` or `always`: when accepted writes are forced to disk.
    """

    def __init__(
        self,
        directory: Path = Path(".eventsys"),
        *,
        binary: ServerBinary | None = None,
        appendfsync: AppendFsync = "everysec",
    ) -> None:
        self.directory = directory.resolve()
        self._binary = binary
        self._appendfsync = appendfsync
        self._users = FileLock(self.directory / "lock")
        self._starts = FileLock(self.directory / "start.lock")
        self._calls = threading.RLock()
        self._server: ServerProcess | None = None
        self._has_let_go = False
        self._kept_url: str | None = None
        self._was_kept = False
        _embedded.add(self)

    @property
    def url(self) -> str:
        """The URL that `redis.from_url` takes.

        Raises:
            EmbeddedRedisError: If it is not started.
        """
        return f"unix://{quote(str(self._running().link.socket))}"

    @property
    def pid(self) -> int:
        """The server's process id, as the server itself last said it.

        Raises:
            EmbeddedRedisError: If it is not started.
        """
        pid = self._running().pid
        if pid is None:
            raise EmbeddedRedisError(f"the embedded Redis of {self.directory} did not get ready; call ensure()")
        return pid

    def start(self) -> str:
        """Return the URL of the server, ready for commands; the same as `ensure`.

        Raises:
            EmbeddedRedisError: If no server is found, it does not start, or the directory cannot be used.
        """
        return self.ensure()

    def ensure(self) -> str:
        """Return the URL of the server, adopting one that runs and starting one otherwise.

        Cheap while the server answers: one PING.

        Raises:
            EmbeddedRedisError: If no server is found, it does not start, or the directory cannot be used.
        """
        with self._calls:
            self._has_let_go = False
            if self._server is None or self._server.link.ask() is not Answer.READY:
                with _wrapping_os_errors(self.directory):
                    self._join()
            return self.url

    def keep(self) -> str:
        """Return the URL of the server for one more connection: start it the first time, and again where it died.

        Once this user has let go of it nothing is started: what still runs while a process ends would leave it behind.

        Raises:
            EmbeddedRedisError: The first time, as `start`; not in a child of a process that used it already.
            RedisUnavailableError: If it died and does not start again; the next connection tries once more.
        """
        with self._calls:
            if self._kept_url is None and not self._was_kept:
                self._kept_url = self.ensure()
            elif self._kept_url is None or self._has_died():
                is_again = self._kept_url is not None
                try:
                    self._kept_url = self.ensure()
                except EmbeddedRedisError as error:
                    raise RedisUnavailableError(str(error)) from error
                if is_again:
                    logger.warning("the embedded Redis had died and runs again", extra={"action": "redis_restarted"})
            return self._kept_url

    def stop(self) -> None:
        """Let go of the server, and end it if nobody else holds it; returns when it is gone.

        Nothing happens when it is not started.

        Raises:
            EmbeddedRedisError: If the server does not end.
        """
        with self._calls:
            self._has_let_go = True
            if self._server is not None:
                with _wrapping_os_errors(self.directory):
                    self._leave_serialised(self._server)
            not_before_process_ends(self.stop)

    def forget(self) -> None:
        """Be as if never started, leaving the server as it is; done by itself in a forked child."""
        self._calls = threading.RLock()
        self._users.forget()
        self._server = None
        self._has_let_go = True
        self._was_kept = self._was_kept or self._kept_url is not None
        self._kept_url = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _has_died(self) -> bool:
        """Say whether nobody is there whom this user still wants: it died, or did not come back after that."""
        if self._has_let_go:
            return False
        return self._server is None or self._server.link.ask() is Answer.REFUSED

    def _join(self) -> None:
        if self._server is not None and not self._users.is_in_place():
            self._leave_removed(self._server)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        with self._starts.taken():
            server = ServerProcess(
                self.directory, choose_socket(self.directory), binary=self._binary, appendfsync=self._appendfsync
            )
            self._users.share()
            try:
                server.run()
                self._server = server
                before_process_ends(self.stop, last=True)
            except BaseException:  # Ctrl-C too: what was started for us must not stay behind
                try:
                    self._leave(server)
                finally:
                    self._let_go()
                raise

    def _leave_serialised(self, server: ServerProcess) -> None:
        if not self._users.is_in_place():
            self._leave_removed(server)
            return
        with self._starts.taken():
            self._leave(server)

    def _leave_removed(self, server: ServerProcess) -> None:
        """Let go of a server whose directory was removed: no socket to end it by, and nobody new can have come."""
        if self._users.try_take():
            server.terminate()
        self._let_go()

    def _leave(self, server: ServerProcess) -> None:
        """Let go; under the start lock, so that nobody comes in between the question and the end."""
        if self._users.try_take():
            try:
                server.shut_down()
            except BaseException:
                # Still a user, then: `stop` may be called again, and will be at exit.
                self._users.share()
                raise
            if self._kept_url is None or self._has_let_go:
                remove_socket(self.directory, server.link.socket)
            # Else it did not start again, and the next one must listen where connections look for it.
        self._let_go()

    def _let_go(self) -> None:
        self._users.release()
        self._server = None

    def _running(self) -> ServerProcess:
        if self._server is None:
            raise EmbeddedRedisError(f"the embedded Redis of {self.directory} is not started; call start() first")
        return self._server


@contextmanager
def _wrapping_os_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedRedisError(f"{directory} cannot hold the embedded Redis: {error}; choose another") from error


_embedded: weakref.WeakSet[EmbeddedRedis] = weakref.WeakSet()


def _forget_all() -> None:
    # A child has none of its parent's locks (see FileLock), so it must not end the server when it exits.
    for one in list(_embedded):
        one.forget()


os.register_at_fork(after_in_child=_forget_all)
