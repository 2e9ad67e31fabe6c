"""What counts as a reason for a delivery that was handled twice."""

from __future__ import annotations

import pytest

from tests.chaos.ledger import Delivery

from .explaining import Explainer
from .facts import Begun, Fact, Life, Outage, Poisoned, PowerCut, Stall, Strike
from .history import Ends
from .journal import Record
from .logs import Logs, Raised

PID, OTHER = 7, 8
KEY = ("event", "handler")
KILLED = "its process was killed before the commit"
BEGUN = Begun("python -m tests.chaos", "3.11", "Linux", 0.0, 0.0, [0.0])


def _kill(at: float) -> Strike:
    return Strike(at, "kill", "worker", PID, [])


def _life(gone_at: float, seen_at: float = 0.0) -> Life:
    return Life("worker", PID, seen_at, gone_at - 0.05, gone_at)


def _explainer(*facts: Fact, logs: Logs | None = None, handled: dict[Delivery, Ends] | None = None) -> Explainer:
    record = Record(BEGUN)
    for fact in facts:
        record.take(fact)
    return Explainer(record, logs or Logs(), handled or {})


def _why(explainer: Explainer, at: float, ends: Ends | None = None) -> str | None:
    handled = ends or Ends()
    handled.ends += [(at + 60.0, OTHER), (at, PID)]
    (repeat,) = explainer.repeats(KEY, handled)
    assert repeat[:2] == ((at, PID), (at + 60.0, OTHER))
    return repeat.why


def test_a_kill_explains_what_ended_shortly_before_the_death_of_that_very_process() -> None:
    explainer = _explainer(_kill(10.0), _life(10.3), _kill(90.0), _life(90.1, seen_at=60.0))
    assert _why(explainer, 9.9) == KILLED
    assert _why(explainer, 10.2) == KILLED, "a kill takes a moment to arrive"
    assert _why(explainer, 10.6) is None, "it handled that after its death"
    assert _why(explainer, 3.0) is None, "that was committed long before"
    assert _why(_explainer(_kill(10.0)), 9.9) is None, "nobody saw it die"


def test_time_in_which_redis_was_away_or_the_process_stood_still_does_not_count() -> None:
    assert _why(_explainer(Outage("silence", 3.5, 9.5), _kill(10.0), _life(10.0)), 3.0) == KILLED
    stopped = Strike(3.5, "stop", "worker", PID, [], 6.0)
    assert _why(_explainer(stopped, _kill(10.0), _life(10.0)), 3.0) == KILLED
    both = (stopped, Outage("kill", 3.5, 9.5), _kill(15.5), _life(15.5))
    assert _why(_explainer(*both), 3.0) is None, "what overlaps is not counted twice"
    supervisor = Strike(3.5, "stop", "supervisor", PID, [], 6.0)
    assert _why(_explainer(supervisor, _kill(10.0), _life(10.0)), 3.0) is None, "its children go on"


def test_a_commit_that_waits_for_redis_has_had_no_time_yet() -> None:
    logs = Logs()
    logs.waits[PID] += [2.9, 9.0, 10.4]
    explainer = _explainer(_kill(10.0), _life(10.2), logs=logs)
    assert _why(explainer, 3.0) == KILLED
    logs.waits[PID].remove(9.0)
    assert _why(explainer, 3.0) is None


def test_a_machine_that_stands_still_commits_nothing() -> None:
    assert _why(_explainer(Stall(3.9, 9.5), _kill(10.0), _life(10.0)), 3.0) == KILLED


def test_a_death_for_no_known_reason_explains_nothing() -> None:
    assert _why(_explainer(_life(10.0)), 9.9) is None


@pytest.mark.parametrize(("deed", "begun_at"), [("segfault", 9.0), ("swallow", 2.0), ("loop", 2.0)])
def test_poison_explains_a_death_that_follows_it(deed: str, begun_at: float) -> None:
    handled = {("bad", "swallow_poison"): Ends(starts=[(begun_at, PID)])}
    explainer = _explainer(Poisoned("bad", deed), _life(10.0), handled=handled)
    assert _why(explainer, 9.5) == "its process died of poison before the commit"


@pytest.mark.parametrize(("deed", "begun_at"), [("segfault", 2.0), ("raise", 9.9), ("segfault", 10.1)])
def test_poison_does_not_explain_a_death_it_cannot_have_caused(deed: str, begun_at: float) -> None:
    handled = {("bad", "swallow_poison"): Ends(starts=[(begun_at, PID)])}
    assert _why(_explainer(Poisoned("bad", deed), _life(10.0), handled=handled), 9.5) is None


def test_an_order_to_end_explains_what_was_not_committed_when_the_process_was_gone() -> None:
    told = Strike(2.0, "terminate", "supervisor", PID, [])
    assert _why(_explainer(told, _life(10.0)), 9.0) == "its process was told to end, and ended before the commit"
    assert _why(_explainer(told, _life(10.0)), 3.0) is None, "there was time for its commit"


def test_a_process_that_is_stuck_commits_nothing_until_it_is_killed() -> None:
    logs = Logs()
    logs.stuck[PID].append(40.0)
    explainer = _explainer(_life(40.2), logs=logs)
    assert _why(explainer, 20.0) == "its process was stuck in a handler, and killed, before the commit"
    assert _why(explainer, 5.0) is None


def test_nothing_explains_a_second_run_of_what_was_committed() -> None:
    facts = (_kill(10.0), _life(10.1))
    assert _why(_explainer(*facts), 9.9, Ends(commits=[(9.95, PID)])) is None
    cut = PowerCut(9.5, 10.0)
    assert _why(_explainer(*facts, cut), 9.9, Ends(commits=[(9.95, PID)])) == (
        "Redis lost the commit when its power was cut"
    )


@pytest.mark.parametrize(
    ("ended_at", "told_at", "undone"),
    [
        (9.6, 9.7, True),  # Redis had accepted it
        (9.99, 11.4, True),  # it was under way, and sent again when Redis was back
        (10.01, 11.4, True),  # to a Redis that was dying
        (10.6, 11.4, False),  # nothing of it had been sent by then
        (9.1, 9.2, False),
    ],
)
def test_a_success_is_undone_that_was_told_of_or_under_way_when_the_power_was_cut(
    ended_at: float, told_at: float, undone: bool
) -> None:
    explainer = _explainer(PowerCut(9.5, 10.0))
    assert explainer.was_undone(Ends(ends=[(ended_at, PID), (12.0, OTHER)]), (told_at, PID)) is undone


def test_of_two_runs_the_first_was_undone_though_both_had_ended_when_the_process_was_told() -> None:
    """It was given out again when Redis was back, and ended, before the commit of the first run was sent again."""
    handled = Ends(starts=[(9.8, PID), (10.8, PID)], ends=[(9.9, PID), (10.9, PID)], commits=[(11.0, PID), (11.1, PID)])
    explainer = _explainer(PowerCut(9.5, 10.0))
    assert [explainer.was_undone(handled, told) for told in handled.commits] == [True, False]
    handled.ends[0] = handled.starts[0] = (10.2, PID)
    assert not any(explainer.was_undone(handled, told) for told in handled.commits)


@pytest.mark.parametrize(
    ("begun_at", "why"),
    [
        (9.8, "Redis lost that it had given it out when its power was cut"),
        (9.4, None),  # that was on the disk
        (10.1, None),
    ],
)
def test_what_was_given_out_just_before_the_power_was_cut_is_given_out_again(begun_at: float, why: str | None) -> None:
    handled = Ends(starts=[(begun_at, PID), (70.0, OTHER)])
    assert _why(_explainer(PowerCut(9.5, 10.0)), 10.3, handled) == why


def test_a_lease_that_was_lost_explains_what_ran_while_it_was() -> None:
    lost = "its process was stopped or cut off for longer than its lease"
    logs = Logs()
    logs.lost_leases[PID].append(30.0)
    stopped = Strike(10.0, "stop", "worker", PID, [], 19.0)
    explainer = _explainer(stopped, logs=logs)
    assert _why(explainer, 9.5) == lost, "it ended, stood still, and found its lease gone"
    assert _why(explainer, 31.0, Ends(starts=[(9.0, PID)])) == lost, "it stood still while it ran"
    assert _why(explainer, 35.0, Ends(starts=[(34.0, PID)])) is None, "it began that under its new name"
    assert _why(explainer, 3.0) is None


def test_the_lease_may_have_been_lost_by_the_one_that_ended_later() -> None:
    logs = Logs()
    logs.lost_leases[PID].append(30.0)
    ends = Ends(starts=[(9.0, PID), (25.0, OTHER)], ends=[(26.0, OTHER), (30.1, PID)])
    (repeat,) = _explainer(logs=logs).repeats(KEY, ends)
    assert repeat.why == "its process was stopped or cut off for longer than its lease"


def test_a_run_that_had_begun_before_the_commit_of_another_is_no_second_run_of_what_was_committed() -> None:
    logs = Logs()
    logs.lost_leases[PID].append(30.0)
    ends = Ends(starts=[(9.0, PID), (25.0, OTHER)], ends=[(26.0, OTHER), (30.1, PID)], commits=[(26.1, OTHER)])
    (repeat,) = _explainer(logs=logs).repeats(KEY, ends)
    assert repeat.why == "its process was stopped or cut off for longer than its lease"
    ends.starts.append((29.0, PID))
    (repeat,) = _explainer(logs=logs).repeats(KEY, ends)
    assert repeat.why is None, "it began that after the commit"


def test_a_fork_explains_the_end_of_the_child_and_no_other() -> None:
    ends = Ends(starts=[(1.0, PID), (60.0, OTHER)], ends=[(1.1, PID), (1.2, 99), (60.1, OTHER)])
    repeats = _explainer(Poisoned("event", "fork_on")).repeats(KEY, ends)
    assert [one.why for one in repeats] == ["its handler forked, and the child handled it too", None]


def test_want_of_memory_is_accounted_for_where_poison_took_all_there_was() -> None:
    handled = {("bad", "swallow_poison"): Ends(starts=[(9.0, PID)])}
    explainer = _explainer(Poisoned("bad", "memory"), handled=handled)
    text = "RuntimeError: can't start new thread"
    assert explainer.lacks_memory(Raised(9.5, PID, "worker", text))
    assert not explainer.lacks_memory(Raised(9.5, OTHER, "worker", text)), "in another process there was enough"
    assert not explainer.lacks_memory(Raised(8.0, PID, "worker", text)), "that was before"
    assert not explainer.lacks_memory(Raised(9.5, PID, "worker", "RuntimeError: of another kind"))
