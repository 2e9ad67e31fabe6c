"""What files held when they were loaded, to tell a change from a touch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple


class Content(NamedTuple):
    """What a file held when it was looked at.

    Attributes:
        stamp: What changes whenever the file is written.
        digest: Tells equal contents.
        is_empty: Whether there is nothing in it.
    """

    stamp: tuple[int, ...]
    digest: bytes
    is_empty: bool


#: What files hold, by path; None for one that is not there.
Look = Mapping[Path, Content | None]


class Contents:
    """Remembers the content of files. One that is saved twice, touched, or replaced by its equal has not changed."""

    def __init__(self) -> None:
        self._known: dict[Path, Content] = {}

    def look(self, paths: Iterable[Path]) -> Look:
        """Return what files hold now; one whose stamp is as it was is not read."""
        return {path: self._look_at(path) for path in paths}

    def changed(self, look: Look) -> set[Path]:
        """Return the files that hold something else than was kept; those that are gone, or were never kept, too."""
        return {path for path, content in look.items() if content is None or self._digest_of(path) != content.digest}

    def keep(self, look: Look) -> None:
        """Remember what was seen. What was written since is a change."""
        for path, content in look.items():
            if content is None:
                self._known.pop(path, None)
            else:
                self._known[path] = content

    def keep_new(self, paths: Iterable[Path], *, loaded_at: float) -> None:
        """Remember files that were loaded a moment ago, except those that were written since that time.

        A date that is yet to come says nothing of when a file was written: it would count as a change for ever.
        """
        fresh = self.look(path for path in paths if path not in self._known)
        since_ns, now_ns = loaded_at * 1e9, time.time_ns()
        kept = {path: one for path, one in fresh.items() if one and not since_ns <= one.stamp[0] <= now_ns}
        self.keep(kept)

    def _digest_of(self, path: Path) -> bytes:
        known = self._known.get(path)
        return b"" if known is None else known.digest

    def _look_at(self, path: Path) -> Content | None:
        known, stamp = self._known.get(path), _stamp(path)
        if known is not None and known.stamp == stamp:
            return known
        try:
            return None if stamp is None else _content(stamp, path.read_bytes())
        except OSError:
            return None


def _content(stamp: tuple[int, ...], text: bytes) -> Content:
    return Content(stamp, hashlib.sha256(text).digest(), not text.strip())


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # The time of the last change of the inode cannot be set, as that of the content can.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
