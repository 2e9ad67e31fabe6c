"""What files held when they were loaded, to tell a change from a touch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class _Known(NamedTuple):
    stamp: tuple[int, ...]
    digest: bytes


class Contents:
    """Remembers the content of files. One that is saved twice, touched, or replaced by its equal has not changed."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def take(self, paths: Iterable[Path]) -> None:
        """Remember what these files hold now; forget those that are gone."""
        for path in paths:
            found = _read(path)
            if found is None:
                self._known.pop(path, None)
            else:
                self._known[path] = found

    def has_changed(self, path: Path) -> bool:
        """Say whether a file holds something else than was taken; so does one that is gone, or was never taken."""
        known = self._known.get(path)
        if known is None:
            return True
        stamp = _stamp(path)
        if stamp == known.stamp:
            return False
        found = _read(path)
        if found is not None and found.digest == known.digest:
            self._known[path] = found
            return False
        return True


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # The time of the last change of the inode cannot be set, as that of the content can.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _read(path: Path) -> _Known | None:
    stamp = _stamp(path)
    try:
        return None if stamp is None else _Known(stamp, hashlib.sha256(path.read_bytes()).digest())
    except OSError:
        return None
