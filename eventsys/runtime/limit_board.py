"""The hard limits of a worker process beside its last beat, where its supervisor reads them without asking it."""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import time
from array import array

from eventsys.broker.shared_memory import new_shared_memory

#: How many threads may publish a limit at once; more are not watched from outside.
_SLOTS = 512
_SIZE = (_SLOTS + 1) * struct.calcsize("d")  # the beat comes last


class LimitBoard:
    """A piece of memory that two processes share: when, on the monotonic clock, each thread of one is stuck.

    The thread writes before it begins a handler. So even a handler that never lets go of the interpreter has its limit
    there, and the other process can tell that it is over. A limit is written and read as one word of memory: what is
    packed byte by byte is zero for a moment, and whoever looks just then takes the thread for stuck.

    Beside the limits stands when a thread that does nothing else last had the interpreter.

    Args:
        descriptor: That of the board another process made; None: make one.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = new_shared_memory(_SIZE) if descriptor is None else descriptor
        self._memory = mmap.mmap(self.descriptor, _SIZE)
        self._words = memoryview(self._memory).cast("d")
        self._limits = self._words[:_SLOTS]
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

    def beat(self) -> None:
        """Note that the calling thread has the interpreter now."""
        self._words[_SLOTS] = time.monotonic()

    def last_beat(self) -> float:
        """Return when, on the monotonic clock, that was last noted; 0 when it never was."""
        return self._words[_SLOTS]

    def close_descriptor(self) -> None:
        """Close the descriptor, once the other process has it; the memory has one of its own."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def close(self) -> None:
        """Let go of the memory."""
        self._limits.release()
        self._words.release()
        self._memory.close()
        self.close_descriptor()
