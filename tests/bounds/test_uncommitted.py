"""What is over and waits for its commit is bounded: whoever fetches stands still until the committer has caught up."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dramatiq
import pytest

from eventsys import Event, EventService
from eventsys.broker import backlog, prefetch
from eventsys.broker.backlog import MOST_BYTES_AT_ONCE, MOST_ENDS, Backlog
from eventsys.broker.endings import DONE
from eventsys.broker.finished import Finished
from eventsys.broker.messages import Place
from eventsys.broker.worker import Worker
from eventsys.store.keys import LOG_QUEUE
from tests.conftest import FreshRedis
from tests.support.waiting import eventually


def _refuse_scripts(events: EventService) -> None:
    """Let Redis refuse every commit, and go on giving out messages: as when an operator got the permissions wrong."""
    events.broker.link.call("ACL", "SETUSER", "default", "-eval", "-evalsha")


def _allow_scripts(events: EventService) -> None:
    events.broker.link.call("ACL", "SETUSER", "default", "+eval", "+evalsha")


def test_what_cannot_be_committed_stops_those_who_fetch_until_it_is(
    fresh_redis: Callable[[], FreshRedis], services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 256
    monkeypatch.setattr(prefetch, "MOST", most)
    events: EventService = services.make(redis_url=fresh_redis().url)
    handled: Counter[str] = Counter()
    refused = threading.Event()

    @events.on("tick", name="count")
    def count(event: Event) -> None:
        handled[event.id] += 1
        if len(handled) == 100:
            _refuse_scripts(events)
            refused.set()

    ids = [event.id for start in range(20) for event in events.publish_many([("tick", {})] * 500)]
    services.work(events, Worker, threads=8)
    assert refused.wait(60)
    work = events.broker.work
    waiting = work.committer.backlog
    eventually(lambda: waiting.standing >= 1 and not work.in_flight.is_busy)
    # The dispatcher stands still, and what it had fetched is over; of 10,000 events many are not fetched.
    # They stand still until half of it is committed, and so far commits may have come.
    assert MOST_ENDS // 2 < len(waiting) <= MOST_ENDS + 2 * most
    assert len(work.in_flight) <= MOST_ENDS + 2 * most
    _allow_scripts(events)
    eventually(lambda: events.get_metrics().succeeded == len(ids))
    assert handled == dict.fromkeys(ids, 1)
    eventually(lambda: (len(waiting), waiting.bytes) == (0, 0))


def test_large_follow_ups_that_cannot_be_committed_stop_those_who_fetch_too(
    fresh_redis: Callable[[], FreshRedis], services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST_BYTES", 2 * 1024 * 1024)
    monkeypatch.setattr(prefetch, "MOST", 8)
    server = fresh_redis()
    events: EventService = services.make(redis_url=server.url)
    handled: Counter[str] = Counter()
    refused = threading.Event()
    size, threads = 100_000, 4

    @events.on("tick", name="grow")
    def grow(event: Event) -> None:
        if not refused.is_set() and handled:
            _refuse_scripts(events)
            refused.set()
        handled[event.id] += 1
        events.publish("grown", {"text": "x" * size})

    ids = [event.id for event in events.publish_many([("tick", {})] * 200)]
    # All are dispatched before commits are refused, or too few would be handled to fill the bound.
    other = services.make(redis_url=server.url, name=events.settings.name)
    dispatcher = services.work(other, dramatiq.Worker, queues={LOG_QUEUE})
    lane = events.broker.keys.lane("tests", 5)
    eventually(lambda: events.broker.link.call("XLEN", lane) == len(ids))
    dispatcher.stop()
    services.work(events, Worker, threads=threads)
    assert refused.wait(60)
    work = events.broker.work
    waiting = work.committer.backlog
    eventually(lambda: waiting.standing >= 1 and not work.in_flight.is_busy)
    assert backlog.MOST_BYTES <= waiting.bytes <= backlog.MOST_BYTES + 8 * (size + 1_000)
    _allow_scripts(events)
    eventually(lambda: events.get_metrics().succeeded == len(ids))
    assert handled == dict.fromkeys(ids, 1)
    eventually(lambda: events.get_metrics().unrouted_events == len(ids))
    eventually(lambda: (len(waiting), waiting.bytes) == (0, 0))


def test_who_stands_still_goes_on_when_half_is_committed_and_not_before() -> None:
    waiting: deque[Finished] = deque([_finished()] * MOST_ENDS)
    held = Backlog(lambda: len(waiting))
    with ThreadPoolExecutor(1) as thread:
        goes_on = thread.submit(held.has_room, 60)
        eventually(lambda: held.standing == 1)
        while len(waiting) > MOST_ENDS // 2 + 1:
            waiting.pop()
            held.has_shrunk()
        assert not goes_on.done()
        waiting.pop()
        held.has_shrunk()
        assert goes_on.result(60) is True
    assert held.standing == 0


def test_nobody_waits_below_the_bound_and_nobody_for_ever_above_it() -> None:
    waiting: deque[Finished] = deque([_finished()] * (MOST_ENDS - 1))
    held = Backlog(lambda: len(waiting))
    assert held.has_room(0)
    waiting.append(_finished())
    assert not held.has_room(0)
    waiting.clear()
    held.weigh_all([_finished(backlog.MOST_BYTES)])
    assert not held.has_room(0)
    held.lighten([_finished(backlog.MOST_BYTES)])
    assert held.has_room(0)


def test_one_commit_takes_no_more_large_ones_than_it_may_carry() -> None:
    ones = [_finished(MOST_BYTES_AT_ONCE // 4) for _ in range(10)]
    waiting = deque(ones)
    held = Backlog(lambda: len(waiting))
    held.weigh_all(ones)
    assert [len(held.take(waiting, min(len(waiting), 200))) for _ in range(3)] == [4, 4, 2]


def _finished(weight: int = 0) -> Finished:
    return Finished(Place("q", 5, "lane", "1-1", "me"), DONE, [], weight=weight)
