"""What a worker process has begun, where its supervisor can read it when the process is dead."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import threading

from .shared_memory import new_shared_memory

#: How many messages a board tells of at once; of a process that begins more, everything counts as begun.
SLOTS = 4096

#: Digits of what stands for the key of a lane; `release_process.lua` makes the same of it.
_STEM = 8

# The digits for the lane, and the name of the entry: `<ms>-<number>` has at most 41 letters.
_SLOT = struct.Struct("=50s")

# How many messages were begun beyond the last slot.
_HEAD = struct.Struct("=q")


class _Stems(dict[str, bytes]):
    """What stands for each lane's key."""

    def __missing__(self, stream: str) -> bytes:
        stem = hashlib.sha1(stream.encode(), usedforsecurity=False).hexdigest()[:_STEM].encode()
        self[stream] = stem
        return stem


class BegunBoard:
    """A piece of memory that two processes share: which messages one of them has begun.

    A message is noted before its handler begins, at the price of a third of a microsecond. So when the process dies, of
    whatever, the other one can tell what may have killed it from what was merely fetched. A mark stays until its place
    is needed again, so that some of what is over counts as begun too; never the other way round.

    Args:
        descriptor: That of the board another process made; None: make one.
        slots: How many messages it has room for.
    """

    def __init__(self, descriptor: int | None = None, *, slots: int = SLOTS) -> None:
        self._size = _HEAD.size + slots * _SLOT.size
        self.descriptor = new_shared_memory(self._size) if descriptor is None else descriptor
        self._memory = mmap.mmap(self.descriptor, self._size)
        self._stems = _Stems()
        # The last one freed is used next: it holds what is most likely over and committed.
        self._free = list(range(self._size - _SLOT.size, _HEAD.size - 1, -_SLOT.size))
        self._beyond = 0
        self._lock = threading.Lock()

    def enter(self, stream: str, entry: str) -> int:
        """Note that a message is about to begin; return what `leave` is to be given."""
        try:
            slot = self._free.pop()
        except IndexError:
            self._count_beyond(1)
            return 0
        _SLOT.pack_into(self._memory, slot, self._stems[stream] + entry.encode())
        return slot

    def leave(self, slot: int) -> None:
        """Note that a message is over."""
        if slot:
            self._free.append(slot)
        else:
            self._count_beyond(-1)

    def marks(self) -> list[bytes] | None:
        """Return what `release_process.lua` knows the begun messages by; None: they are more than there is room for."""
        if _HEAD.unpack_from(self._memory)[0]:
            return None
        found = (mark.rstrip(b"\0") for (mark,) in _SLOT.iter_unpack(self._memory[_HEAD.size :]))
        return [mark for mark in found if mark]

    def close_descriptor(self) -> None:
        """Close the descriptor, once the other process has it; the memory has one of its own."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
        self.close_descriptor()

    def _count_beyond(self, by: int) -> None:
        with self._lock:
            self._beyond += by
            _HEAD.pack_into(self._memory, 0, self._beyond)
