"""Memory for a board that two processes share."""

from __future__ import annotations

import os
import tempfile


def new_shared_memory(size: int) -> int:
    """Return the descriptor of `size` bytes, all zero, that another process can map when it inherits that.

    On Linux no file system has to hold them. Elsewhere they are a file without a name, written in full: a page of a
    sparse one, touched for the first time while the disk is full, would end the process by SIGBUS.

    Raises:
        OSError: If there is no room for them.
    """
    if hasattr(os, "memfd_create"):  # some builds for Linux lack it, too
        descriptor = os.memfd_create("eventsys-board")
        os.ftruncate(descriptor, size)
        return descriptor
    with tempfile.TemporaryFile() as file:
        file.write(bytes(size))
        file.flush()
        return os.dup(file.fileno())
