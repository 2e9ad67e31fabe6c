"""What a process believes of commits whose answers were lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from eventsys.broker.commit_trip import CommitTrip
from eventsys.broker.finished import Finished
from eventsys.broker.messages import Place
from eventsys.clock import Clock
from eventsys.errors import RedisUnavailableError
from eventsys.store import link
from tests.store.commit_bench import Bench, ended
from tests.support.histories import PROCESS


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
