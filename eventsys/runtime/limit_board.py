"""The hard limits of a worker process, where its supervisor can read them without asking it."""

from __future__ import annotations

import itertools
import mmap
import os
import struct
from array import array

from eventsys.broker.shared_memory import new_shared_memory

#: How many threads may publish a limit at once; more are not watched from outside.
_SLOTS = 512
_SIZE = _SLOTS * struct.calcsize("d")


class LimitBoard:
    """A piece of memory that two processes share: when, on the monotonic clock, each thread of one is stuck.

    The thread writes before it begins a handler. So even a handler that never lets go of the interpreter has its limit
    there, and the other process can tell that it is over. A limit is written and read as one word of memory: what is
    packed byte by byte is zero for a moment, and whoever looks just then takes the thread for stuck.

    Args:
        descriptor: That of the board another process made; None: make one.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = new_shared_memory(_SIZE) if descriptor is None else descriptor
        self._memory = mmap.mmap(self.descriptor, _SIZE)
        self._limits = memoryview(self._memory).cast("d")
        if descriptor is None:
            self._limits[:] = array("d", [float("inf")] * _SLOTS)
        self._slots: dict[int, int] = {}
        self._numbers = itertools.count()

    def write(self, thread: int, limit: float) -> None:
        """Note until when a thread may run; infinity when it is free."""
        slot = self._slots.get(thread)
        if slot is None:
            slot = self._slots.setdefault(thread, next(self._numbers))
        if slot < _SLOTS:
            self._limits[slot] = limit

    def earliest(self) -> float:
        """Return the earliest limit on the board."""
        return min(self._limits)

    def close(self) -> None:
        """Let go of the memory."""
        self._limits.release()
        self._memory.close()
        os.close(self.descriptor)
