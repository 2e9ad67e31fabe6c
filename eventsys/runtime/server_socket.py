"""Choosing where the embedded server's unix socket lies."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

# The longest path a socket address holds: sun_path has 108 bytes on Linux and 104 elsewhere, one of them a zero.
LONGEST_PATH = 107 if sys.platform == "linux" else 103

_NAME, _PREFIX = "redis.sock", "eventsys-"
_RECORD = "socket"


def choose_socket(directory: Path) -> Path:
    """Return the socket's path: in `directory`, or in a short private one when that path is too long for a socket.

    The short directory (0700) is made under $XDG_RUNTIME_DIR, the system's directory for temporary files, or /tmp: the
    first of them that is short enough. Its path is written to `directory`/socket, so that every process of the project
    finds the same one. Call it only while starting, under the lock that serialises starts.
    """
    beside_data = directory / _NAME
    if len(os.fsencode(beside_data)) <= LONGEST_PATH:
        return beside_data
    recorded = _recorded(directory)
    if recorded is not None and _is_private(recorded.parent):
        return recorded
    short = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_short_base()))
    (directory / _RECORD).write_text(str(short / _NAME))
    return short / _NAME


def remove_socket(directory: Path, socket: Path) -> None:
    """Remove the socket of a server that has ended, with the short directory if it was in one."""
    socket.unlink(missing_ok=True)
    if socket.parent != directory:
        shutil.rmtree(socket.parent, ignore_errors=True)
        (directory / _RECORD).unlink(missing_ok=True)


def _short_base() -> str:
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        # `mkdtemp` adds eight letters to the prefix.
        if base and Path(base).is_dir() and len(os.fsencode(Path(base, f"{_PREFIX}12345678", _NAME))) <= LONGEST_PATH:
            return base
    return "/tmp"  # noqa: S108 - what is made there is private


def _recorded(directory: Path) -> Path | None:
    try:
        return Path((directory / _RECORD).read_text())
    except FileNotFoundError:
        return None


def _is_private(directory: Path) -> bool:
    # In a directory everybody may write to, somebody else may have made one of the recorded name.
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
