"""What is measured waits in the journal of measures, and is added to the counters once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from eventsys import EventService
from eventsys.store.measure_journal import fold, fold_steps
from eventsys.store.measurements import Measurements
from tests.support.waiting import eventually


def _journal(events: EventService) -> int:
    length: int = events.broker.link.call("LLEN", f"{events.broker.keys.prefix}:metrics:journal")
    return length


def _read(events: EventService) -> Measurements:
    return Measurements(events.broker.link, events.broker.keys, events.broker.clock.now_ms())


def _published(events: EventService) -> dict[str, int]:
    return {name: counts["published"] for name, counts in _read(events).types.items()}


@pytest.mark.redis62
def test_a_reading_counts_what_the_journal_holds_and_no_piece_twice(events: EventService) -> None:
    events.broker.clock.turn_to(events.broker.clock.now_ms())  # all of it in one minute
    for _ in range(3):
        events.publish_many([("a.b", {}), ("a.c", {}), ("a.b", {})])
    assert _journal(events) == 3
    assert _published(events) == {"a.b": 6, "a.c": 3}
    assert _journal(events) == 0
    assert _published(events) == {"a.b": 6, "a.c": 3}
    assert _read(events).minutes()[0] == {"a.b": 6, "a.c": 3}


def _steps(events: EventService) -> Iterator[None]:
    return fold_steps(events.broker.link.run, events.broker.link.call, events.broker.keys)


def test_what_another_one_set_aside_and_began_to_write_is_finished(events: EventService) -> None:
    for first in (0, 500):
        events.publish_many([(f"a.n{number}", {}) for number in range(first, first + 500)])
    assert _journal(events) == 4
    stopped = _steps(events)
    for _ in range(3):  # set aside, two of five parts written
        next(stopped)
    events.publish("a.n7", {})
    counted = _published(events)
    assert len(counted) == 1000
    assert sum(counted.values()) == 1001
    assert counted["a.n7"] == 2
    assert list(stopped) == []
    assert _published(events) == counted


def test_what_was_set_aside_later_is_never_taken_for_what_was_set_aside_before(events: EventService) -> None:
    events.publish("a.b", {})
    slow = _steps(events)
    next(slow)
    fold(events.broker.link.run, events.broker.link.call, events.broker.keys)
    events.publish("a.c", {})
    next(_steps(events))  # as many pieces, and none of their parts is written
    assert list(slow) == []
    assert _published(events) == {"a.b": 1, "a.c": 1}


def test_what_comes_beyond_a_thousand_types_is_counted_together(events: EventService) -> None:
    for first in range(0, 1200, 400):
        events.publish_many([(f"a.n{number}", {}) for number in range(first, first + 400)])
    events.publish_many([("a.n3", {}), ("a.other", {})])
    counted = _published(events)
    assert len(counted) == 1001
    assert sum(counted.values()) == 1202
    assert counted["*"] in {201, 202}


def test_a_piece_that_cannot_be_read_takes_no_other_with_it(events: EventService) -> None:
    events.publish("a.b", {})
    events.broker.link.call("RPUSH", f"{events.broker.keys.prefix}:metrics:journal", b"\xc1junk")
    events.publish("a.b", {})
    assert _published(events) == {"a.b": 2}


def test_two_who_fold_at_once_count_each_piece_once(events: EventService) -> None:
    for _ in range(300):
        events.publish("a.b", {})
    both = [_steps(events), _steps(events)]
    while [next(one, "over") for one in both] != ["over", "over"]:
        pass
    assert _published(events) == {"a.b": 300}


def test_the_leading_poller_folds_though_nobody_reads(events: EventService, quick_work: Callable[..., Any]) -> None:
    events.on("a.*", name="h")(lambda event: None)
    quick_work()
    ids = [events.publish("a.b", {}).id for _ in range(20)]
    for event_id in ids:
        events.wait(event_id)
    events.delayed.start()
    # The journal is set aside first, and folded then.
    eventually(lambda: events.broker.link.call("HGET", events.broker.keys.type_metrics("a.b"), "delivered") == b"20")
    events.delayed.stop()
    assert _journal(events) == 0


def test_folding_an_empty_journal_writes_nothing(events: EventService) -> None:
    fold(events.broker.link.run, events.broker.link.call, events.broker.keys)
    assert events.broker.link.call("EXISTS", events.broker.keys.measured_types) == 0


def test_a_replica_tells_what_was_folded_before(fresh_redis: Callable[[], Any], services: Any) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url)
    events.publish("a.b", {})
    assert _published(events) == {"a.b": 1}
    events.publish("a.b", {})
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert _published(events) == {"a.b": 1}
