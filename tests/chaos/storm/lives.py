"""A watch over worker processes: when each was seen first, alive last, and dead, whatever its supervisor says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .facts import Life

_DEAD = "ZX"
"""The states of a process that runs no more, though nobody has asked for its exit code yet."""


@dataclass
class _Living:
    role: str
    began: str
    seen_at: float
    alive_at: float


class Lives:
    """Knows the processes that live; to be asked again and again."""

    def __init__(self) -> None:
        self._living: dict[int, _Living] = {}

    def look(self, children: Iterable[tuple[str, int]]) -> list[Life]:
        """Return those that are gone since the last look.

        Args:
            children: Processes and whose they are: those not known yet are watched from now on.
        """
        now, gone = time.monotonic(), []
        for pid, one in list(self._living.items()):
            if _begun(pid) == one.began:
                one.alive_at = now
            else:
                gone.append(Life(one.role, pid, one.seen_at, one.alive_at, time.monotonic()))
                del self._living[pid]
        for role, pid in children:
            if pid not in self._living and (began := _begun(pid)) is not None:
                self._living[pid] = _Living(role, began, now, now)
        return gone


def _begun(pid: int) -> str | None:
    """Return when a process began, as Linux says it, None where it is dead or gone."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return None if said[0] in _DEAD else said[19]
