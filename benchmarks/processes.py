"""Worker processes under measurement, with the processor time and the memory they use."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 20

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker command in its own session, and stop it and all its children at the end.

    Its output is kept and shown only if it ends by itself, which is a fault of the benchmark.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            ended = process.poll()
            _stop(process)
            if ended is not None:
                output.seek(0)
                print(f"{' '.join(command)} ended with {ended}:\n{output.read().decode(errors='replace')}")


def cpu_seconds(pid: int) -> float:
    """Return the processor time, user and system, that a process and its descendants have used so far.

    Of those that ended it knows what their parents have waited for: a worker that forks for every job counts in full.
    """
    return sum(_own_cpu_seconds(member) for member in _family(pid))


def children_of(pid: int) -> list[int]:
    """Return the living children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process and its living descendants."""
    pages = 0
    for member in _family(pid):
        fields = _stat(member)
        pages += int(fields[21]) if fields else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_share_bytes(pid: int) -> int:
    """Return the memory of a process and its living descendants, where a page that several share counts once."""
    return sum(_own_memory_share_bytes(member) for member in _family(pid))


def _own_memory_share_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _own_cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICKS_PER_SECOND if fields else 0.0


def _family(pid: int) -> list[int]:
    """List a process and its descendants."""
    parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, `state` first; none if the process has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a session to end, and kill what is left of it after STOP_SECONDS."""
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
