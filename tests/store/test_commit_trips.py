"""What a process believes of commits whose answers were lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import NoScriptError

from eventsys.broker.commit_trip import CommitTrip
from eventsys.broker.finished import Finished
from eventsys.broker.messages import Place
from eventsys.clock import Clock
from eventsys.errors import RedisUnavailableError
from eventsys.store import link
from tests.store.commit_bench import Bench, ended
from tests.support.histories import PROCESS
from tests.support.waiting import eventually


@pytest.fixture
def trip(bench: Bench) -> Iterator[CommitTrip]:
    made = CommitTrip(bench.link.channel(), bench.keys.prefix, Clock(), 60_000, lambda: None, lambda: None)
    yield made
    made.close()


def _end(held: dict[tuple[str, int], tuple[str, str]], event_id: str, holder: str = PROCESS) -> Finished:
    return Finished(Place("first", 5, *held[event_id, 1], holder), ended(event_id, 1), [])


def test_only_what_was_sent_before_is_taken_for_ended_by_that(
    bench: Bench, trip: CommitTrip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process ended meanwhile has come to nothing here, though its commit waits with one that was sent."""
    held = bench.deliver("e1", "e2", "e3")
    sent, taken_over, kept = _end(held, "e1"), _end(held, "e2"), _end(held, "e3")
    evaluate, away = link._evaluate, RedisUnavailableError("no answer")
    away.may_have_run = True

    def lose(*given: Any) -> Any:
        evaluate(*given)
        raise away

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(link, "_evaluate", lose)
        with pytest.raises(RedisUnavailableError):
            trip.make([sent])
    assert bench.commit((*held["e2", 1], ended("e2", 1))) == []
    assert trip.make([sent, taken_over, kept]) == ["ok", "lost", "ok"]


def test_what_one_holder_ended_is_ended_though_the_next_has_to_wait(
    bench: Bench, trip: CommitTrip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was paused has two names; each is committed by itself, and tried again with the other."""
    held = bench.deliver("e1", "e2", "e3")
    assert bench.commit((*held["e2", 1], ended("e2", 1))) == []
    all_three = [_end(held, "e1"), _end(held, "e2"), _end(held, "e3", holder="former")]
    evaluate, tries = link._evaluate, list[str]()

    def away_at_the_second(channel: Any, script: Any, arguments: Any) -> Any:
        tries.append(script.name)
        if len(tries) == 2:
            error = RedisUnavailableError("not connected")
            error.at_connect = True
            raise error
        return evaluate(channel, script, arguments)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(link, "_evaluate", away_at_the_second)
        with pytest.raises(RedisUnavailableError):
            trip.make(all_three)
    assert trip.make(all_three) == ["ok", "lost", "lost"], "another ended e2; the lease of the former name is over"


def test_one_is_sent_before_the_last_is_answered_and_the_answers_come_in_turn(bench: Bench, trip: CommitTrip) -> None:
    held = bench.deliver("e1", "e2", "e3")
    assert bench.commit((*held["e2", 1], ended("e2", 1))) == []
    first = trip.send([_end(held, "e1")], None)
    assert first is not None
    second = trip.send([_end(held, "e2"), _end(held, "e3")], first)
    assert second is not None
    assert trip.answer(first) == ["ok"]
    assert trip.answer(second) == ["lost", "ok"], "another ended e2"
    assert trip.make([_end(held, "e3")]) == ["lost"]


def test_what_two_holders_had_is_not_sent_ahead(bench: Bench, trip: CommitTrip) -> None:
    """It takes two scripts, and the second one may fail where the first has ended what it is about."""
    held = bench.deliver("e1", "e2")
    assert trip.send([_end(held, "e1"), _end(held, "e2", holder="former")], None) is None


def test_with_the_connection_every_answer_is_lost_that_was_to_come_on_it(bench: Bench, trip: CommitTrip) -> None:
    """Both have run, and what each of them ended counts as ended when it is made again."""
    held = bench.deliver("e1", "e2")
    batches = [[_end(held, "e1")], [_end(held, "e2")]]
    first = trip.send(batches[0], None)
    assert first is not None
    second = trip.send(batches[1], first)
    assert second is not None
    eventually(lambda: bench.left() == 4)  # of six: both scripts have run
    trip.close()
    for sent in (first, second):
        with pytest.raises(RedisUnavailableError) as caught:
            trip.answer(sent)
        assert caught.value.may_have_run
        assert trip.make(sent.batch) == ["ok"]
    assert bench.left() == 4


def test_nothing_is_sent_behind_what_was_lost(bench: Bench, trip: CommitTrip) -> None:
    """On another connection it could come before that, and it has not run."""
    held = bench.deliver("e1", "e2")
    first = trip.send([_end(held, "e1")], None)
    trip.close()
    with pytest.raises(RedisUnavailableError) as caught:
        trip.send([_end(held, "e2")], first)
    assert not caught.value.may_have_run
    assert trip.make([_end(held, "e2")]) == ["ok"]


def test_what_was_refused_takes_no_answer_for_its_own(bench: Bench, trip: CommitTrip) -> None:
    """The scripts are gone from Redis: neither has run, and the second answer is not waited for on that connection."""
    held = bench.deliver("e1", "e2")
    bench.link.call("SCRIPT", "FLUSH")
    first = trip.send([_end(held, "e1")], None)
    assert first is not None
    second = trip.send([_end(held, "e2")], first)
    assert second is not None
    with pytest.raises(NoScriptError):
        trip.answer(first)
    assert trip.make(first.batch) == ["ok"]
    with pytest.raises(RedisUnavailableError):
        trip.answer(second)
    assert trip.make(second.batch) == ["ok"]
    assert bench.left() == 4


def test_a_beat_that_fails_where_a_lease_was_over_leaves_no_answer_to_others(bench: Bench) -> None:
    """The first of two was held under a name whose lease is over; to say so asks Redis, which is away just then."""

    def beat() -> None:
        raise RedisUnavailableError("no connection is left")

    trip = CommitTrip(bench.link.channel(), bench.keys.prefix, Clock(), 60_000, beat, lambda: None)
    held = bench.deliver("e1", "e2")
    first = trip.send([_end(held, "e1", holder="former")], None)
    assert first is not None
    second = trip.send([_end(held, "e2")], first)
    assert second is not None
    eventually(lambda: bench.left() == 5)
    with pytest.raises(RedisUnavailableError):
        trip.answer(first)
    with pytest.raises(RedisUnavailableError) as caught:
        trip.answer(second)
    assert caught.value.may_have_run
    assert trip.make(second.batch) == ["ok"]
    trip.close()
