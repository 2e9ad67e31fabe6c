"""What the logs of a run say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple


class Raised(NamedTuple):
    """An error in a log: when it was logged and by which process, in which log, and its last line."""

    at: float
    pid: int
    log: str
    text: str


@dataclass
class Logs:
    """What the logs of all processes say; moments are on the clock of the ledger.

    Attributes:
        died: Worker processes that ended, with when their supervisor said so, and how they ended. Pids come again.
        stuck: Those that their supervisor killed because a handler held everything up, with when it did.
        waits: When a process said that its commit, or the end of an attempt, waits for Redis.
        lost_leases: Processes that found their lease taken over, with when they said so.
        errors: Errors that no fault of ours is known to raise.
    """

    died: dict[int, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    stuck: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost_leases: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[Raised] = field(default_factory=list)


_HEADER = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (\d+) [A-Z]+ ([\w.]+): ")
_DIED = re.compile(r"process (\d+) ended with (.+) and is replaced")
_STUCK = re.compile(r"process (\d+) is stuck in a handler and cannot end itself; it is killed")
_WAITS = re.compile(r"(commit|The end of \S+) waits for Redis")
_LOST_LEASE = re.compile(r"away for longer than its lease|attempt was taken over before it ended")
_WANTED = re.compile(
    r"RuntimeError: stumbled|ValueError: poison|MemoryError|TimeLimitExceeded|no_such_module_anywhere|SyntaxError"
    r"|RedisUnavailableError|BackpressureError|ConnectionClosed|ConnectionResetError|BrokenPipeError"
    r"|exceptions\.(ConnectionError|TimeoutError|BusyLoadingError|NoScriptError)|^TimeoutError: timed out"
)
_RAISED = re.compile(r"^[\w.]+(Error|Exception|Exceeded|Exit|Interrupt|Closed)\b.*")


def read_logs(directory: Path, *, ahead_s: float, skews_s: Sequence[float] = (0.0,)) -> Logs:
    """Return what the logs in a directory say.

    Args:
        directory: Where they are.
        ahead_s: By how many seconds the clock of the logs is ahead of that of the ledger.
        skews_s: By how many seconds the clocks of worker processes are wrong; which one, their pids decide.
    """
    logs = Logs()
    for path in sorted(directory.glob("*.log")):
        at, pid = 0.0, 0
        with path.open(errors="replace") as lines:
            for line in lines:
                if header := _HEADER.match(line):
                    at, pid = _moment_of(header[1]) - ahead_s, int(header[2])
                    if not header[3].startswith("eventsys.runtime.supervisor"):
                        at -= skews_s[pid % len(skews_s)]
                    _read_header(logs, line, at, pid)
                elif _RAISED.match(line) and not _WANTED.search(line):
                    logs.errors.append(Raised(at, pid, path.stem, line.strip()[:160]))
    return logs


def _read_header(logs: Logs, line: str, at: float, pid: int) -> None:
    if found := _DIED.search(line):
        logs.died[int(found[1])].append((at, found[2]))
    elif found := _STUCK.search(line):
        logs.stuck[int(found[1])].append(at)
    elif _WAITS.search(line):
        logs.waits[pid].append(at)
    elif _LOST_LEASE.search(line):
        logs.lost_leases[pid].append(at)


def _moment_of(said_at: str) -> float:
    return datetime.strptime(said_at, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
