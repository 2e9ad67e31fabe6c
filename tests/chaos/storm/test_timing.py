"""What counts as time in which work should have gone on."""

from __future__ import annotations

import pytest

from tests.chaos.ledger import Delivery

from .facts import Begun, Outage, Strike
from .history import Ends
from .journal import Record
from .logs import Logs
from .timing import Timing

PID = 7


def _timing(*facts: Outage | Strike, handled: dict[Delivery, Ends], logs: Logs | None = None) -> Timing:
    record = Record(Begun("python -m tests.chaos", "3.11", "Linux", 0.0, 0.0, [0.0]))
    for fact in facts:
        record.take(fact)
    return Timing(record, logs or Logs(), handled)


@pytest.mark.parametrize(
    ("ended_at", "idle_s"),
    [(20.5, 0.5), (27.0, 7.0), (40.1, 12.0)],
    ids=["at once", "late", "only after the next outage"],
)
def test_idle_time_ends_with_work_or_with_the_next_outage(ended_at: float, idle_s: float) -> None:
    handled = {("event", "handler"): Ends(ends=[(9.0, PID), (ended_at, PID), (40.1, PID)])}
    timing = _timing(Outage("kill", 10.0, 20.0), Outage("refuse", 32.0, 40.0), handled=handled)
    assert timing.resumptions()[-1].idle_s == idle_s


def test_who_stood_still_meanwhile_is_named() -> None:
    strikes = (Strike(1.0, "stop", "worker", PID, []), Strike(2.0, "kill", "worker", PID, []))
    handled = {("event", "handler"): Ends(ends=[(22.0, PID)])}
    logs = Logs(died={8: [(21.0, "signal SIGSEGV")]})
    timing = _timing(Outage("kill", 10.0, 20.0), *strikes, handled=handled, logs=logs)
    assert timing.resumptions()[-1].struck == ("stop worker", "poison")


def test_a_takeover_takes_until_the_next_start_and_the_last_strike_counts() -> None:
    key = ("event", "handler")
    strikes = (Strike(1.0, "kill", "worker", PID, [key]), Strike(2.0, "kill", "worker", 8, [key]))
    timing = _timing(Outage("kill", 3.0, 4.5), *strikes, handled={key: Ends(starts=[(0.5, PID), (5.0, 9)])})
    assert [found[:3] for found in timing.takeovers()] == [(1.5, 3.0, strikes[1])]
