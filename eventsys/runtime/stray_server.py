"""Ending a server that cannot be reached by its socket."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path


def end_stray_server(pid: int, *, directory: Path, within: float) -> bool:
    """Send SIGTERM to a process if it surely is the server of `directory`; return whether it is gone.

    It can be told for sure on Linux, where a process can be held by a descriptor while it is examined, so that its
    number cannot become another's in between. Elsewhere nothing is sent. The end is waited for, because a server
    that ends removes the socket at its path, and that may be its successor's by then.

    Args:
        pid: The process; nothing happens if there is none, or it is something else.
        directory: The data directory, with no symbolic link in its path; it may have been removed.
        within: Seconds to wait for the end.
    """
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _serves(pid, directory):
            return False
        signal.pidfd_send_signal(process, signal.SIGTERM)
        ended = select.poll()
        ended.register(process, select.POLLIN)
        return bool(ended.poll(within * 1000))
    except OSError:
        return False
    finally:
        os.close(process)


def _serves(pid: int, directory: Path) -> bool:
    process = Path("/proc", str(pid))
    name = (process / "comm").read_text().strip()
    # A server works in its data directory; the kernel marks one that was removed.
    works_in = str((process / "cwd").readlink()).removesuffix(" (deleted)")
    return name in {"redis-server", "valkey-server"} and works_in == str(directory)
