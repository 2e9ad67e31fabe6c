"""The journal: what a run notes of itself, so that it can be judged while it goes on, when it broke off, and again."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .facts import Begun, Done, Ended, Fact, Failed, Life, Missed, Outage, Poisoned, PowerCut, Rested, Stall, Strike


class Journal:
    """A file of facts, each a line of JSON; whatever ends the run, what was noted stays.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, fact: Fact) -> None:
        """Append a fact."""
        os.write(self._file, msgspec.json.encode(fact) + b"\n")


@dataclass
class Record:
    """What a journal says.

    Attributes:
        begun: How the run began.
        strikes: The processes that were struck.
        outages: The times when Redis was not there.
        power_cuts: From when to when what Redis had accepted is gone.
        done: How often each fault struck.
        missed: How often there was no victim.
        poisons: What each event with poison in it does, by its id.
        failed: Faults that could not be carried out, and why.
        lives: The worker processes that are gone.
        ends: The other processes that are.
        stalls: When the machine was too busy.
        rested: How it ended; None: it has not, or it broke off.
    """

    begun: Begun
    strikes: list[Strike] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    power_cuts: list[PowerCut] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    poisons: dict[str, str] = field(default_factory=dict)
    failed: list[Failed] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    ends: list[Ended] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    rested: Rested | None = None

    def take(self, fact: Fact) -> None:
        """Take in one fact."""
        match fact:
            case Begun():
                self.begun = fact
            case Done():
                self.done[fact.fault] += 1
            case Missed():
                self.missed += 1
            case Poisoned():
                self.poisons[fact.event_id] = fact.deed
            case Rested():
                self.rested = fact
            case _:
                self._list_of(fact).append(fact)

    def _list_of(self, fact: Fact) -> list[Fact]:
        lists = {
            Strike: self.strikes, Outage: self.outages, PowerCut: self.power_cuts,
            Failed: self.failed, Life: self.lives, Ended: self.ends, Stall: self.stalls,
        }  # fmt: skip
        return lists[type(fact)]  # type: ignore[index, return-value]


def read_record(path: Path) -> Record:
    """Return what the journal at `path` says; a last line that is not whole does not count.

    Raises:
        ValueError: If it does not begin as a journal does, or a line in it is none.
    """
    decoder = msgspec.json.Decoder(Fact)
    *lines, _ = path.read_bytes().split(b"\n")
    facts = [decoder.decode(line) for line in lines]
    if not facts or not isinstance(facts[0], Begun):
        raise ValueError(f"{path} does not say how its run began")
    record = Record(facts[0])
    for fact in facts[1:]:
        record.take(fact)
    return record
