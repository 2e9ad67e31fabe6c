"""What was published in one call for many deliveries goes out with those that succeeded, once or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from dramatiq import Message, MessageProxy

from eventsys.broker.attempt import Attempt
from eventsys.broker.finished import Finished, Shared
from eventsys.broker.messages import Place
from eventsys.store.steps import Step, delayed_step, event_step, message_step
from tests.store.commit_bench import T0, Bench, ended
from tests.support.histories import PROCESS

pytestmark = pytest.mark.redis62

#: What a call published, and what a hook of the middleware added after it.
PUBLISHED = event_step("sum", "sum.made", 5, '{"id":"sum","type":"sum.made","payload":{}}')
ADDED = message_step("mail", 5, {"m": "{}"})

#: A step that no Redis can carry out.
BROKEN: Step = ("no such step",)


class Call:
    """One call for many deliveries, whose ends are on their way to the commit.

    Attributes:
        committed: What whoever waits for the commit is told.
    """

    def __init__(self, bench: Bench, steps: Sequence[Step], *, added: Sequence[Step] = ()) -> None:
        self.committed: list[bool] = []
        self.ends: list[Finished] = []
        self._bench = bench
        message = MessageProxy(Message("q", "one", (), {}, {}))
        attempt = Attempt(message, takes_sends=True)
        for step in steps:
            attempt.add(step, 1, on_commit=self.committed.append)
        attempt.handler_ended(succeeded=True)
        for step in added:
            attempt.add(step, 1)
        self._attempt = attempt

    def end(self, held: dict[tuple[str, int], tuple[str, str]], *keys: tuple[str, int], failed: bool = False) -> Call:
        """Add deliveries that succeeded, or are to be tried again."""
        for event_id, number in keys:
            stream, entry = held[event_id, number]
            ending = _retried(event_id, number) if failed else ended(event_id, number)
            one = Finished(Place("first", 5, stream, entry, PROCESS), ending, [])
            one.succeeded = not failed
            self.ends.append(one)
        return self

    def commit(self) -> list[tuple[int, str]]:
        """Commit all of it, and return what did not end."""
        shared = Shared(self._attempt, len(self.ends))
        for one in self.ends:
            one.shared = shared
        told = self._bench.commit_calls(*self.ends)
        results = dict(told)
        for at, one in enumerate(self.ends):
            shared.note(results.get(at, "ok"), succeeded=one.succeeded)
        return told


def _retried(event_id: str, number: int) -> tuple[Any, ...]:
    retry = delayed_step(f"{event_id}:{number}", T0 + 60_000, 5, message_step("first", 5, {"m": "{}"}), queue="first")
    return ("retry", event_id, number, f"f{T0 + 5},500,1", True, retry, "a.b", 3, 500)


def _is_stored(bench: Bench) -> bool:
    return bool(bench.record("sum"))


def _mails(bench: Bench) -> int:
    return int(bench.link.call("XLEN", bench.keys.lane("mail", 5)))


def _waiting(bench: Bench) -> int:
    return int(bench.link.call("ZCARD", bench.keys.delayed_due))


def test_it_goes_out_once_though_all_that_succeeded_but_one_had_ended(bench: Bench) -> None:
    held = bench.deliver("e1", "e2", "e3")
    assert bench.commit((*held["e1", 1], ended("e1", 1)), (*held["e2", 1], ended("e2", 1))) == []
    call = Call(bench, [PUBLISHED]).end(held, ("e1", 1), ("e2", 1), ("e3", 1))
    assert call.commit() == [(0, "lost"), (1, "lost")]
    assert _is_stored(bench)
    assert (call.committed, bench.count("total_events")) == ([True], 4)


def test_it_does_not_go_out_with_nothing_but_a_failure(bench: Bench) -> None:
    """What succeeded had been ended by others, and what failed is tried again and publishes it then."""
    held = bench.deliver("e1", "e2", "e3")
    assert bench.commit((*held["e1", 1], ended("e1", 1)), (*held["e2", 1], ended("e2", 1))) == []
    call = Call(bench, [PUBLISHED], added=[ADDED]).end(held, ("e1", 1), ("e2", 1)).end(held, ("e3", 1), failed=True)
    assert call.commit() == [(0, "lost"), (1, "lost")]
    assert not _is_stored(bench)
    assert (call.committed, _waiting(bench)) == ([False], 1)
    assert _mails(bench) == 1  # what a hook added goes out with a failure too, as it does for a single delivery


def test_sent_again_after_a_lost_reply_it_does_not_go_out_twice(bench: Bench) -> None:
    held = bench.deliver("e1", "e2")
    call = Call(bench, [PUBLISHED], added=[ADDED]).end(held, ("e1", 1)).end(held, ("e2", 1), failed=True)
    assert call.commit() == []
    assert sorted(call.commit()) == [(0, "lost"), (1, "lost")]
    assert (bench.count("total_events"), _mails(bench), _waiting(bench)) == (3, 1, 1)


def test_where_it_cannot_go_out_nothing_that_shares_it_has_succeeded_and_all_else_ends(bench: Bench) -> None:
    held = bench.deliver("e1", "e2", "e3", "e4")
    call = Call(bench, [PUBLISHED, BROKEN]).end(held, ("e1", 1), ("e2", 1)).end(held, ("e3", 1), failed=True)
    beside = Call(bench, [ADDED]).end(held, ("e4", 1), ("e1", 3))
    call.ends += beside.ends
    for one in beside.ends:
        one.shared = Shared(beside._attempt, 2)
    shared = Shared(call._attempt, 3)
    for one in call.ends[:3]:
        one.shared = shared
    assert sorted(bench.commit_calls(*call.ends)) == [(0, "refused"), (1, "refused")]
    for event_id in ("e1", "e2"):
        line = bench.record(event_id)["1"]
        assert line.startswith("d")
        assert "no such step" in line or "attempt to call" in line
    assert bench.record("e3")["1"].startswith("f")
    assert (bench.record("e4")["1"], bench.record("e1")["3"]) == (f"s{T0 + 5},500,1",) * 2
    assert (bench.count("deliveries_succeeded"), bench.count("deliveries_dead")) == (2, 2)
    assert (bench.count("dead_letters_commit_failed"), _waiting(bench)) == (2, 1)
    assert (bench.record("e1")["open"], bench.record("e4")["open"]) == ("1", "2")


def test_a_delivery_that_is_lost_is_not_refused_besides(bench: Bench) -> None:
    held = bench.deliver("e1", "e2")
    assert bench.commit((*held["e1", 1], ended("e1", 1))) == []
    call = Call(bench, [BROKEN]).end(held, ("e1", 1), ("e2", 1))
    assert call.commit() == [(0, "lost"), (1, "refused")]
    assert (bench.record("e1")["1"], bench.count("deliveries_dead")) == (f"s{T0 + 5},500,1", 1)
    assert call.committed == [False]


def test_of_a_single_delivery_too_nothing_succeeds_whose_steps_cannot_be_carried_out(bench: Bench) -> None:
    held = bench.deliver("e1")
    assert bench.commit((*held["e1", 1], ended("e1", 1), [PUBLISHED, BROKEN])) == [(0, "refused")]
    assert bench.record("e1")["1"].startswith("d")
    assert (bench.count("deliveries_succeeded"), bench.count("dead_letters_commit_failed")) == (0, 1)


def test_a_redriven_delivery_whose_end_fails_is_dead_again(bench: Bench) -> None:
    held = bench.deliver("e1")
    before = f"d{T0},1,1\nr{T0 + 1},0,0"
    bench.link.call("HSET", bench.keys.record("e1"), "1", before)
    ending = ("ended", "e1", 1, f"s{T0 + 5},500,1", False, "a.b", -1, 500)
    assert bench.commit((*held["e1", 1], ending, [BROKEN])) == [(0, "refused")]
    *lines, last = bench.record("e1")["1"].split("\n")
    assert lines == before.split("\n")
    assert last.startswith("d")
    assert bench.record("e1")["open"] == "2"
