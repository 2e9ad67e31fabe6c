"""How long it took until work went on: after Redis was back, and after a process was killed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from tests.chaos.ledger import Delivery

from .facts import Outage, Strike
from .history import Ends
from .journal import Record
from .logs import Logs
from .plan import LONGEST_S
from .spans import covered_s

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
class Timing:
    """Knows what struck whom, and when, and how everything was handled."""

    record: Record
    logs: Logs
    handled: dict[Delivery, Ends]

    def resumptions(self) -> list[Resumption]:
        """Return how long nothing was handled while Redis was there again, for each time it was away; the longest last.

        Where Redis is harmed once more before anything is handled, that time ends there, and the next one begins when
        it is back.
        """
        ends = sorted(at for one in self.handled.values() for at, _ in one.ends)
        outages = sorted(self.record.outages, key=lambda one: one.began_at)
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
            for one in self.record.strikes
            if one.victim in _HANDLING
            and one.at <= ended_at
            and one.at + (LONGEST_S["stop"] if one.kind == "stop" else 0.0) >= began_at
        ]
        return struck + ["poison"] * any(
            began_at <= at <= ended_at for deaths in self.logs.died.values() for at, _ in deaths
        )

    def takeovers(self) -> list[Takeover]:
        """Return how long it took until what a killed process held was begun again, the slowest last."""
        struck: dict[Delivery, list[Strike]] = {}
        for strike in self.record.strikes:
            for delivery in strike.held if strike.kind == "kill" else ():
                struck.setdefault(delivery, []).append(strike)
        found = []
        for delivery, strikes in struck.items():
            starts = sorted(at for at, _ in self.handled[delivery].starts) if delivery in self.handled else []
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
        return covered_s(began_at, ended_at, [(outage.began_at, outage.ended_at) for outage in self.record.outages])
