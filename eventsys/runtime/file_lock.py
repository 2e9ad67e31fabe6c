"""An advisory lock on a file, kept by the kernel for as long as its holder lives."""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """A `flock` on one file: many may share it, or one may have it alone.

    The kernel gives it back when the holder dies, however it dies. It is never inherited: programs that are executed
    do not get it, and a forked child closes its copy and starts without. Two locks on one file are two holders, in
    one process as in two. The file itself stays, for a lock on a file that somebody removes protects nothing. The
    file system must be a local one.

    Args:
        path: The file; made when missing, in a directory that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        _locks.add(self)

    @property
    def descriptor(self) -> int | None:
        """The open file that carries the lock, or None while it is not open."""
        return self._descriptor

    def share(self) -> None:
        """Take the lock together with others; waits while somebody has it alone."""
        fcntl.flock(self._open(), fcntl.LOCK_SH)

    def take(self) -> None:
        """Take the lock alone; waits while anybody else has it."""
        fcntl.flock(self._open(), fcntl.LOCK_EX)

    def try_take(self) -> bool:
        """Take the lock alone if nobody else has it; False, and whatever was held before may be lost, otherwise."""
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._descriptor is not None:
            # Said aloud, because a child forked a moment ago may not have closed its copy yet.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.forget()

    def is_in_place(self) -> bool:
        """Return whether the lock is open on the file that is at `path` now, and not on one removed since."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False

    def forget(self) -> None:
        """Close this process's copy; a process that was given `descriptor` goes on holding the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the lock alone inside a `with`."""
        self.take()
        try:
            yield
        finally:
            self.release()

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor


_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_locks):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
