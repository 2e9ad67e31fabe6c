"""What the ledger of a run says."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.ledger import Delivery

from .names import SUBSCRIBERS


@dataclass
class Published:
    """What a publisher was told of one event.

    Attributes:
        type: Its type.
        told: The answer to the last try: `accepted`, `refused`, `unknown`, `broken`; None: it was killed before that.
        told_at: When, on the monotonic clock.
        was_unknown: Whether any answer left open what had become of it.
    """

    type: str
    told: str | None = None
    told_at: float = 0.0
    was_unknown: bool = False


@dataclass
class Ends:
    """How one delivery was handled: when it was begun, ended and committed as a success, and by which processes."""

    starts: list[tuple[float, int]] = field(default_factory=list)
    ends: list[tuple[float, int]] = field(default_factory=list)
    commits: list[tuple[float, int]] = field(default_factory=list)


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
            elif what == "committed":
                history.handled[facts[0], names[facts[1]]].commits.append((float(at), int(pid)))
            elif what == "minute":
                history.minutes += 1
            elif what == "try":
                history.published.setdefault(facts[0], Published(facts[1])).told = None
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
