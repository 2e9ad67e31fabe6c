"""Why a delivery was handled twice, or an event is not there: what happened in between.

Each cause is shown by evidence with its time: the journal of the run says whom it struck and when worker processes
were gone, the ledger which handlers harm whoever runs them, and what was committed, and the logs what supervisors and
workers noticed. A process that ended for no known reason explains nothing.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.ledger import Delivery

from .facts import Life
from .history import Ends
from .journal import Record
from .logs import Logs, Raised
from .names import CRASHERS, HOGS
from .spans import covered_s

MOMENT_S = 0.5
"""Seconds by which the clocks of ledger, logs, and the watches over Redis's file and over processes may differ."""

DYING_S = 0.05
"""Seconds for which a Redis that is being killed may still be sent something."""

COMMITTED_WITHIN_S = 2.0
"""Seconds after which an attempt that ended is committed, without those in which its process or the machine stood
still, or Redis was away, or the commit waited for it: 10 ms; half a second on a machine with ten times the load that it
can carry."""

STUCK_WITHIN_S = 30.0
"""Seconds after which a process whose handler lets nobody else run, not even the commit, is killed."""

ENDED_WITHIN_S = 40.0
"""Seconds that a process may take to end when it is told to, or when its supervisor was killed."""

CRASHED_WITHIN_S = 5.0
"""Seconds within which poison that kills a process has killed it, on a machine that does a hundred other things."""

POISONED_WITHIN_S = 30.0
"""Seconds within which a handler that does not end has ended its process, or memory is there again: its limit, the
grace, and what a loaded machine adds."""

_LACKS_MEMORY = (
    "can't start new thread",
    "Cannot allocate memory",
    "Redis refused: Out of memory",  # what the parser of replies says
    "Failed to serialize the command",
)

Moment = tuple[float, int]
"""When something happened, and in which process."""


class Repeat(NamedTuple):
    """A delivery was handled to its end twice: when and by whom, and why; None: nothing explains it."""

    first: Moment
    second: Moment
    why: str | None


class Explainer:
    """Knows what struck whom, and when.

    Args:
        record: What the run noted of itself.
        logs: What the logs say.
        handled: How each delivery was handled.
    """

    def __init__(self, record: Record, logs: Logs, handled: dict[Delivery, Ends]) -> None:
        self.logs = logs
        self._record = record
        self._away = [(one.began_at, one.ended_at) for one in (*record.outages, *record.stalls)]
        self._struck: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._stood: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for one in record.strikes:
            self._struck[one.kind, one.pid].append(one.at)
            # The children of a supervisor that stands still go on.
            if one.stood_s and one.victim != "supervisor":
                self._stood[one.pid].append((one.at, one.at + one.stood_s))
        self._lives: dict[int, list[Life]] = defaultdict(list)
        for life in record.lives:
            self._lives[life.pid].append(life)
        self._poisoned: dict[int, list[tuple[float, str]]] = defaultdict(list)
        for (event_id, _), one in handled.items():
            for at, pid in one.starts if event_id in record.poisons else ():
                self._poisoned[pid].append((at, record.poisons[event_id]))

    def was_cut(self, told_at: float) -> bool:
        """Say whether what was accepted at a moment is among what Redis lost when its power was cut."""
        return any(one.began_at <= told_at <= one.ended_at + MOMENT_S for one in self._record.power_cuts)

    def was_undone(self, handled: Ends, told: Moment) -> bool:
        """Say whether a commit that a process was told of was lost when the power was cut, or under way to Redis then.

        Its answer did not come then; and where Redis had lost that it gave the delivery out, too, it says of the commit
        when it is sent again what it says of one that it has carried out: there is nothing to end.
        """
        told_at = told[0]
        ended_at = _ended_at(handled, told)
        sent_at = min(ended_at, told_at - MOMENT_S)
        return any(one.began_at <= told_at and sent_at <= one.ended_at + DYING_S for one in self._record.power_cuts)

    def repeats(self, delivery: Delivery, handled: Ends) -> list[Repeat]:
        """Return every end of a delivery that was followed by another one, and why it was."""
        ends, found = sorted(handled.ends), list[Repeat]()
        if self._record.poisons.get(delivery[0]) == "fork_on":
            # The child of a fork ends what it has not begun.
            begun = {pid for _, pid in handled.starts}
            children, ends = [one for one in ends if one[1] not in begun], [one for one in ends if one[1] in begun]
            found += [Repeat(one, one, "its handler forked, and the child handled it too") for one in children]
        return found + [Repeat(*both, self._why_again(handled, *both)) for both in pairwise(ends)]

    def _why_again(self, handled: Ends, first: Moment, second: Moment) -> str | None:
        at, pid = first
        # What had begun before the commit did not begin because of it.
        again_at = _began_at(handled, second)
        if any(one == pid and at <= committed_at <= again_at for committed_at, one in handled.commits):
            return "Redis lost the commit when its power was cut" if self._was_cut_after(at) else None
        if self._was_given_again(_began_at(handled, first), again_at):
            return "Redis lost that it had given it out when its power was cut"
        return self._why_uncommitted(at, pid) or self._why_taken_over(handled, first, second)

    def lacks_memory(self, error: Raised) -> bool:
        """Say whether an error is for want of memory, in a process in which poison was taking all there is."""
        return any(said in error.text for said in _LACKS_MEMORY) and any(
            deed == "memory" and at - MOMENT_S <= error.at <= at + POISONED_WITHIN_S
            for at, deed in self._poisoned[error.pid]
        )

    def _why_uncommitted(self, at: float, pid: int) -> str | None:
        """Return why an attempt that ended may have had no time for its commit."""
        died_at = self._death_after(at, pid)
        if died_at is None:
            return None
        waited_until = max((one for one in self.logs.waits.get(pid, ()) if at <= one <= died_at), default=at)
        had_s = self._working_s(waited_until, died_at, pid)
        was_stuck = any(at - MOMENT_S <= one <= died_at + MOMENT_S for one in self.logs.stuck.get(pid, ()))
        if had_s >= (STUCK_WITHIN_S if was_stuck else COMMITTED_WITHIN_S):
            return None
        if was_stuck:
            return "its process was stuck in a handler, and killed, before the commit"
        if self._was_struck("kill", pid, died_at):
            return "its process was killed before the commit"
        if self._was_poisoned(pid, died_at):
            return "its process died of poison before the commit"
        if self._was_struck("terminate", pid, died_at):
            return "its process was told to end, and ended before the commit"
        return None

    def _death_after(self, at: float, pid: int) -> float | None:
        """Return when the process with a pid that lived at a moment was gone; None where that is not known."""
        lives = [one for one in self._lives[pid] if one.seen_at - MOMENT_S <= at <= one.gone_at]
        return min((one.gone_at for one in lives), default=None)

    def _working_s(self, began_at: float, ended_at: float, pid: int) -> float:
        return ended_at - began_at - covered_s(began_at, ended_at, self._stood[pid] + self._away)

    def _was_struck(self, kind: str, pid: int, died_at: float) -> bool:
        return any(died_at - ENDED_WITHIN_S <= one <= died_at + MOMENT_S for one in self._struck[kind, pid])

    def _was_poisoned(self, pid: int, died_at: float) -> bool:
        """Say whether a process handled what ends it: at once, or when its limit and the grace are over."""
        for at, deed in self._poisoned[pid]:
            took_s = self._working_s(at, died_at, pid) if at <= died_at else float("inf")
            if took_s < (CRASHED_WITHIN_S if deed in CRASHERS else POISONED_WITHIN_S if deed in HOGS else 0.0):
                return True
        return False

    def _why_taken_over(self, handled: Ends, first: Moment, second: Moment) -> str | None:
        """Return why others took over what a living process handled: it, or who ended later, had lost its lease."""
        for ended_at, pid in (first, second):
            began_at = _began_at(handled, (ended_at, pid))
            for said_at in self.logs.lost_leases.get(pid, ()):
                # It may be noticed while the handler runs, or with its commit.
                if began_at - MOMENT_S <= said_at and (
                    said_at <= ended_at or self._working_s(ended_at, said_at, pid) < COMMITTED_WITHIN_S
                ):
                    return "its process was stopped or cut off for longer than its lease"
        return None

    def _was_given_again(self, began_at: float, again_at: float) -> bool:
        """Say whether what had begun at a moment was among what Redis lost, so that whoever asked next was given it."""
        return any(one.began_at <= began_at <= one.ended_at <= again_at for one in self._record.power_cuts)

    def _was_cut_after(self, at: float) -> bool:
        return any(one.began_at - MOMENT_S <= at <= one.ended_at + MOMENT_S for one in self._record.power_cuts)


def _began_at(handled: Ends, end: Moment) -> float:
    """Return when a run that ended had begun; its end, where that is not known."""
    ended_at, pid = end
    return max((at for at, one in handled.starts if one == pid and at <= ended_at), default=ended_at)


def _ended_at(handled: Ends, told: Moment) -> float:
    """Return when a run ended of whose commit its process was told at a moment; that moment, where it is not known.

    A process may have ended a delivery twice before it was told of either: what it was told of last is what ended last.
    """
    pid = told[1]
    ends = sorted(at for at, one in handled.ends if one == pid)
    for told_at in sorted((at for at, one in {*handled.commits, told} if one == pid), reverse=True):
        while ends and ends[-1] > told_at:
            ends.pop()
        ended_at = ends.pop() if ends else told_at
        if told_at == told[0]:
            return ended_at
    return told[0]
