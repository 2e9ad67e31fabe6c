"""Why a delivery was handled twice, or an event is not there: what happened in between."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field

from tests.chaos.ledger import Delivery

from .history import Ends, Logs
from .nemesis import Outage, Strike
from .plan import LONGEST_S

_MOMENT_S = 0.5
"""Seconds by which the ledger and the watch over Redis's file may differ, and that a kill may take to arrive."""

COMMITTED_WITHIN_S = 5.0
"""Seconds after which an attempt that ended is committed, without those in which Redis was away: 10 ms, and a machine
that does a hundred other things."""

STUCK_WITHIN_S = 30.0
"""Seconds after which a process whose handler lets nobody else run, not even the commit, is killed."""

DRAINED_WITHIN_S = 40.0
"""Seconds that a process may take to end when it is told to."""

_HANDLING = ("worker", "supervisor", "dispatcher", "leader")
"""The victims without which no event is handled for a while."""


@dataclass(frozen=True)
class Resumption:
    """How long nothing was handled after Redis was back.

    Attributes:
        idle_s: How long: until something was, or until Redis was harmed once more.
        outage: What was over.
        struck: Which processes were struck in that time, or still stood still.
    """

    idle_s: float
    outage: Outage
    struck: tuple[str, ...]


Takeover = tuple[float, float, Strike, Delivery]
"""How long it took until what a killed process held was begun again: seconds without those in which Redis was away, and
with them; what struck; the delivery."""


@dataclass
class Explainer:
    """Knows what struck whom, and when.

    Attributes:
        strikes: The processes that were struck.
        outages: When Redis was away.
        power_cuts: From when to when what Redis had accepted is gone.
        logs: What the logs say.
    """

    strikes: list[Strike]
    outages: list[Outage]
    power_cuts: list[tuple[float, float]]
    logs: Logs
    _killed: dict[int, list[float]] = field(init=False)
    _told: dict[int, list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self._killed, self._told = self._struck_by("kill"), self._struck_by("terminate")

    def was_cut(self, told_at: float) -> bool:
        """Say whether what was accepted at a moment is among what Redis lost when its power was cut."""
        return any(began_at <= told_at <= ended_at + _MOMENT_S for began_at, ended_at in self.power_cuts)

    def why_again(self, delivery: Delivery, first: tuple[float, int], poisons: dict[str, str]) -> str | None:
        """Return why a delivery that was handled to its end was handled again; None: nothing explains it.

        Args:
            delivery: Which.
            first: When it was handled to its end, and by which process.
            poisons: The events that harm whoever handles them, and how.
        """
        at, pid = first
        if poisons.get(delivery[0]) == "fork_on":
            return "its handler forked, and the child handled it too"
        if self._was_uncommitted(at, pid, self._killed.get(pid, [])):
            return "its process was killed before the commit"
        if self._was_uncommitted(at, pid, self.logs.died.get(pid, [])):
            return "its process died of poison, or was told to end, before the commit"
        if self._was_uncommitted(at, pid, self.logs.stuck.get(pid, []), within_s=STUCK_WITHIN_S):
            return "its process was stuck in a handler, and killed, before the commit"
        if any(-COMMITTED_WITHIN_S < at - told_at < DRAINED_WITHIN_S for told_at in self._told.get(pid, [])):
            return "its process was told to end, and ended before the commit, because Redis was away"
        if pid in self.logs.lost_leases:
            return "its process was stopped or cut off for longer than its lease"
        if any(began_at - _MOMENT_S <= at <= ended_at + _MOMENT_S for began_at, ended_at in self.power_cuts):
            return "Redis lost the commit when its power was cut"
        return None

    def _struck_by(self, kind: str) -> dict[int, list[float]]:
        found: dict[int, list[float]] = defaultdict(list)
        for one in self.strikes:
            if one.kind == kind:
                found[one.pid].append(one.at + _MOMENT_S)
        return found

    def _was_uncommitted(
        self, ended_at: float, pid: int, deaths: list[float], *, within_s: float = COMMITTED_WITHIN_S
    ) -> bool:
        """Say whether an attempt that ended may have had no time for its commit when its process died.

        Pids come again; the first death after its end is that of its process. A supervisor that stands still tells
        of the death only when it goes on.
        """
        died_at = min((at for at in deaths if at >= ended_at), default=float("inf"))
        stood = [(one.at, one.at + one.stood_s) for one in self.strikes if one.pid == pid]
        away = [(outage.began_at, outage.ended_at) for outage in self.outages]
        return died_at - ended_at - _covered_s(ended_at, died_at, stood + away) < within_s

    def resumptions(self, handled: dict[Delivery, Ends]) -> list[Resumption]:
        """Return how long nothing was handled while Redis was there again, for each time it was away; the longest last.

        Where Redis is harmed once more before anything is handled, that time ends there, and the next one begins when
        it is back.
        """
        ends = sorted(at for one in handled.values() for at, _ in one.ends)
        outages = sorted(self.outages, key=lambda one: one.began_at)
        found = []
        for number, outage in enumerate(outages):
            back = outage.ended_at
            until = min(
                [*ends[bisect_right(ends, back) :][:1], *(one.began_at for one in outages[number + 1 :][:1])],
                default=back,
            )
            found.append(Resumption(until - back, outage, tuple(self._struck_between(outage.began_at, until))))
        return sorted(found, key=lambda one: one.idle_s)

    def _struck_between(self, began_at: float, ended_at: float) -> list[str]:
        """Return who was struck in that time, and who was stopped before it and did not go on until it began."""
        struck = [
            f"{one.kind} {one.victim}"
            for one in self.strikes
            if one.victim in _HANDLING
            and one.at <= ended_at
            and one.at + (LONGEST_S["stop"] if one.kind == "stop" else 0.0) >= began_at
        ]
        return struck + ["poison"] * any(
            began_at <= at <= ended_at for deaths in self.logs.died.values() for at in deaths
        )

    def takeovers(self, handled: dict[Delivery, Ends]) -> list[Takeover]:
        """Return how long it took until what a killed process held was begun again, the slowest last."""
        struck: dict[Delivery, list[Strike]] = {}
        for strike in self.strikes:
            for delivery in strike.held if strike.kind == "kill" else ():
                struck.setdefault(delivery, []).append(strike)
        found = []
        for delivery, strikes in struck.items():
            starts = sorted(at for at, _ in handled[delivery].starts) if delivery in handled else []
            moments = [strike.at for strike in strikes]
            for at in starts:
                # Where whoever took it over was struck too before it began, only the last strike counts.
                if number := bisect_right(moments, at):
                    strike = strikes[number - 1]
                    took_s = at - strike.at
                    found.append((took_s - self._away_s(strike.at, at), took_s, strike, delivery))
                    moments, strikes = moments[number:], strikes[number:]
        return sorted(found, key=lambda one: one[:2])

    def _away_s(self, began_at: float, ended_at: float) -> float:
        return _covered_s(began_at, ended_at, [(outage.began_at, outage.ended_at) for outage in self.outages])


def _covered_s(began_at: float, ended_at: float, spans: list[tuple[float, float]]) -> float:
    """Return how much of a time lies in any of the spans."""
    covered_s, reached = 0.0, began_at
    for start, end in sorted(spans):
        covered_s += max(0.0, min(end, ended_at) - max(start, reached))
        reached = max(reached, end)
    return covered_s
