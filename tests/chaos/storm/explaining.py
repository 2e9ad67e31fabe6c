"""Why a delivery was handled twice, or an event is not there: what happened in between."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from tests.chaos.ledger import Delivery

from .history import Ends, Logs
from .nemesis import Outage, Strike

_MOMENT_S = 0.5
"""By how much the ledger and the watch over Redis's file may differ, in seconds."""


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
    _killed: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self._killed = {one.pid: one.kind for one in self.strikes if one.kind == "kill"}

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
        if pid in self._killed:
            return "its process was killed before the commit"
        if pid in self.logs.died:
            return "its process died of poison, or was told to end, before the commit"
        if pid in self.logs.lost_leases:
            return "its process was stopped or cut off for longer than its lease"
        if any(began_at - _MOMENT_S <= at <= ended_at + _MOMENT_S for began_at, ended_at in self.power_cuts):
            return "Redis lost the commit when its power was cut"
        return None

    def resumptions(self, handled: dict[Delivery, Ends]) -> list[float]:
        """Return how long it took until anything was handled after Redis had been away, the slowest last."""
        ends = sorted(at for one in handled.values() for at, _ in one.ends)
        backs = [outage.ended_at for outage in self.outages if outage.kind in ("kill", "power", "refuse", "silence")]
        following = [(back, bisect_right(ends, back)) for back in backs]
        return sorted(ends[number] - back for back, number in following if number < len(ends))

    def takeovers(self, handled: dict[Delivery, Ends]) -> list[tuple[float, float, Strike, Delivery]]:
        """Return how long it took until what a killed process held was begun again, the slowest last.

        Returns:
            Seconds without those in which Redis was away; seconds with them; what struck; the delivery.
        """
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
        return sum(max(0.0, min(ended_at, outage.ended_at) - max(began_at, outage.began_at)) for outage in self.outages)
