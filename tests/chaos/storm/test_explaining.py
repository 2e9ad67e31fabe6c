"""What counts as a reason, and what as time in which work should have gone on."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from .explaining import Explainer
from .history import Ends, Logs, read_logs
from .nemesis import Outage, Strike

PID = 7


def _explainer(
    *outages: Outage, strikes: tuple[Strike, ...] = (), died: dict[int, list[float]] | None = None
) -> Explainer:
    return Explainer(list(strikes), list(outages), [], Logs(died=died or {}))


def _why(explainer: Explainer, at: float) -> str | None:
    return explainer.why_again(("event", "handler"), (at, PID), {})


def test_a_kill_explains_what_ended_shortly_before_it() -> None:
    again = Strike(90.0, "kill", "worker", PID, [])
    explainer = _explainer(strikes=(Strike(10.0, "kill", "worker", PID, []), again))
    assert _why(explainer, 9.9) == "its process was killed before the commit"
    assert _why(explainer, 10.1) == "its process was killed before the commit", "a kill takes a moment to arrive"
    assert _why(explainer, 10.6) is None, "it handled that after its death"
    assert _why(explainer, 3.0) is None, "that was committed long before"


def test_time_in_which_redis_was_away_does_not_count() -> None:
    explainer = _explainer(Outage("silence", 3.5, 9.5), strikes=(Strike(10.0, "kill", "worker", PID, []),))
    assert _why(explainer, 3.0) == "its process was killed before the commit"


def test_time_in_which_the_process_or_its_supervisor_stood_still_does_not_count() -> None:
    """A stopped supervisor tells of a death only when it goes on; and what overlaps an outage is not counted twice."""
    stopped = Strike(2.0, "stop", "supervisor", PID, [], 20.0)
    assert str(_why(_explainer(strikes=(stopped,), died={PID: [22.5]}), 1.0)).startswith("its process died of poison")
    assert _why(_explainer(strikes=(stopped,), died={PID: [27.5]}), 1.0) is None
    away = Outage("kill", 2.0, 22.0)
    assert _why(_explainer(away, strikes=(stopped,), died={PID: [42.0]}), 1.0) is None


def test_a_process_that_is_stuck_commits_nothing_until_it_is_killed() -> None:
    explainer = _explainer()
    explainer.logs.stuck[PID].append(40.0)
    assert _why(explainer, 20.0) == "its process was stuck in a handler, and killed, before the commit"
    assert _why(explainer, 5.0) is None


def test_death_by_poison_and_an_order_to_end_explain_too() -> None:
    assert str(_why(_explainer(died={PID: [10.0, 900.0]}), 9.0)).startswith("its process died of poison")
    told = _explainer(strikes=(Strike(10.0, "terminate", "supervisor", PID, []),))
    assert str(_why(told, 9.0)).startswith("its process was told to end")


@pytest.mark.parametrize(
    ("ended_at", "idle_s"),
    [(20.5, 0.5), (27.0, 7.0), (40.1, 12.0)],
    ids=["at once", "late", "only after the next outage"],
)
def test_idle_time_ends_with_work_or_with_the_next_outage(ended_at: float, idle_s: float) -> None:
    explainer = _explainer(Outage("kill", 10.0, 20.0), Outage("refuse", 32.0, 40.0))
    handled = {("event", "handler"): Ends(ends=[(9.0, PID), (ended_at, PID), (40.1, PID)])}
    assert explainer.resumptions(handled)[-1].idle_s == idle_s


def test_who_stood_still_meanwhile_is_named() -> None:
    strikes = (Strike(1.0, "stop", "worker", PID, []), Strike(2.0, "kill", "worker", PID, []))
    explainer = _explainer(Outage("kill", 10.0, 20.0), strikes=strikes, died={8: [21.0]})
    handled = {("event", "handler"): Ends(ends=[(22.0, PID)])}
    assert explainer.resumptions(handled)[-1].struck == ("stop worker", "poison")


def test_a_death_is_dated_by_the_log_of_its_supervisor(tmp_path: Path) -> None:
    said_at = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
    line = f"{said_at} 1 ERROR eventsys.runtime.supervisor: process {PID} ended with signal SIGKILL and is replaced\n"
    (tmp_path / "worker.log").write_text(line)
    assert read_logs(tmp_path).died[PID][0] == pytest.approx(time.monotonic(), abs=60.0)
