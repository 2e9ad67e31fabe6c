"""What the ledger and the logs of a run say, once it is over."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tests.chaos.ledger import Delivery

from .names import SUBSCRIBERS


@dataclass
class Published:
    """What a publisher was told of one event.

    Attributes:
        type: Its type.
        told: The last answer: `accepted`, `refused`, `unknown`, `broken`; None: it was killed before there was one.
        told_at: When, on the monotonic clock.
        was_unknown: Whether any answer left open what had become of it.
    """

    type: str
    told: str | None = None
    told_at: float = 0.0
    was_unknown: bool = False


@dataclass
class Ends:
    """How one delivery was handled: when it was begun and ended, by which processes."""

    starts: list[tuple[float, int]] = field(default_factory=list)
    ends: list[tuple[float, int]] = field(default_factory=list)


@dataclass
class History:
    """What the ledger says.

    Attributes:
        published: What publishers were told, by the id of the event.
        handled: How each delivery was handled.
        versions: Which versions of the handlers ran.
        minutes: Ticks of the periodic actor.
        slowest_call_s: The longest that a publisher waited for an answer.
        answers: How often it was which error.
    """

    published: dict[str, Published] = field(default_factory=dict)
    handled: dict[Delivery, Ends] = field(default_factory=lambda: defaultdict(Ends))
    versions: set[int] = field(default_factory=set)
    minutes: int = 0
    slowest_call_s: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)


def read_history(path: Path) -> History:
    """Return what publishers and handlers wrote into the ledger at `path`."""
    history = History()
    names = {name: name for names in SUBSCRIBERS.values() for name in names}
    with path.open() as lines:
        for line in lines:
            what, at, pid, *facts = line.split()
            if what in ("start", "end"):
                handled = history.handled[facts[0], names[facts[1]]]
                (handled.starts if what == "start" else handled.ends).append((float(at), int(pid)))
                history.versions.add(int(facts[2]))
            elif what == "minute":
                history.minutes += 1
            elif what == "try":
                history.published.setdefault(facts[0], Published(facts[1]))
            else:
                _note_answer(history, what, float(at), facts)
    return history


def _note_answer(history: History, told: str, at: float, facts: list[str]) -> None:
    event_id, error, took_s = facts
    one = history.published[event_id]
    one.told, one.told_at = told, at
    one.was_unknown = one.was_unknown or told == "unknown"
    history.slowest_call_s = max(history.slowest_call_s, float(took_s))
    if error != "-":
        history.answers[f"{told}: {error}"] += 1


@dataclass
class Logs:
    """What the logs of all processes say.

    Attributes:
        died: Worker processes that ended, with when their supervisor said so, on the monotonic clock. Pids come again.
        stuck: Those that their supervisor killed because a handler held everything up, with when it did.
        lost_leases: Processes that found their lease taken over.
        errors: The last lines of tracebacks that no fault of ours explains, and how often they stand there.
    """

    died: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    stuck: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost_leases: set[int] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)


_DIED = re.compile(r"^(\S+ \S+) .*process (\d+) ended with .+ and is replaced")
_STUCK = re.compile(r"^(\S+ \S+) .*process (\d+) is stuck in a handler and cannot end itself; it is killed")
_LOST_LEASE = re.compile(
    r"^\S+ \S+ (\d+) WARNING .*(away for longer than its lease|attempt was taken over before it ended)"
)
_WANTED = re.compile(
    r"RuntimeError: stumbled|ValueError: poison|MemoryError|TimeLimitExceeded|no_such_module_anywhere|SyntaxError"
    r"|RedisUnavailableError|BackpressureError|ConnectionClosed|ConnectionResetError|BrokenPipeError"
    r"|exceptions\.(ConnectionError|TimeoutError|BusyLoadingError|NoScriptError)|^TimeoutError: timed out"
)
_RAISED = re.compile(r"^[\w.]+(Error|Exception|Exceeded|Exit|Interrupt|Closed)\b.*")


def read_logs(directory: Path) -> Logs:
    """Return what the logs in a directory say."""
    logs = Logs()
    for path in sorted(directory.glob("*.log")):
        with path.open(errors="replace") as lines:
            for line in lines:
                if found := _DIED.search(line):
                    logs.died[int(found[2])].append(_moment_of(found[1]))
                elif found := _STUCK.search(line):
                    logs.stuck[int(found[2])].append(_moment_of(found[1]))
                elif found := _LOST_LEASE.search(line):
                    logs.lost_leases.add(int(found[1]))
                elif _RAISED.match(line) and not _WANTED.search(line):
                    logs.errors[f"{path.stem}: {line.strip()[:160]}"] += 1
    return logs


def _moment_of(said_at: str) -> float:
    """Return the moment on the monotonic clock for the time in a line of a log."""
    passed_s = time.time() - datetime.strptime(said_at, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
    return time.monotonic() - passed_s
