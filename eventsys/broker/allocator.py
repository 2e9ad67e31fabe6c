"""The memory of the C library in a process that handles messages: what is free goes back to the system."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

#: Pools of memory, where glibc would have eight a processor: each thread that fetches, handles or commits large
#: messages has one then, and each keeps what one of them needed at most. Who holds the interpreter has no rival.
POOLS = 2

#: Free bytes from which on they are given back. Fewer are soon used again, and cost a page fault for each 4 KiB then.
MOST_FREE = 32 * 1024 * 1024

_ARENA_MAX = -8


class _Figures(ctypes.Structure):
    """What glibc says of its memory: `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    ]  # fmt: skip


@cache
def _library() -> Any:
    """Return the C library, None where it is not glibc 2.33 or newer."""
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in ("mallopt", "mallinfo2", "malloc_trim")):
        return None
    library.mallinfo2.restype = _Figures
    return library


def settle_allocator() -> None:
    """Have few pools from now on; to be called before threads begin. What `MALLOC_ARENA_MAX` says stays."""
    if _library() is not None and "MALLOC_ARENA_MAX" not in os.environ:
        _library().mallopt(_ARENA_MAX, POOLS)


def free_bytes() -> int:
    """Return how much memory the C library holds that nobody uses; 0 where it does not tell."""
    return 0 if _library() is None else int(_library().mallinfo2().fordblks)


def give_back(*, above: int = MOST_FREE) -> bool:
    """Give free memory back to the system, if it is more than so many bytes, and say whether that was so."""
    if free_bytes() <= above:
        return False
    _library().malloc_trim(0)
    return True
