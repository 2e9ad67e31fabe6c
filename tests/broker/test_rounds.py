"""What it costs Redis that every process looks for dead ones, however many queues the bus has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from eventsys.broker.presence import Presence
from eventsys.clock import Clock
from eventsys.model.priority import LANES
from eventsys.store.keys import INLINE_QUEUE, Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script
from tests.broker.holding import hand_back, hold

MakePresence = Callable[..., Presence]

KEYS = Keys("default")


@pytest.fixture
def make_presence(redis_client: redis.Redis, redis_url: str) -> Iterator[MakePresence]:
    """Make presences that read some queues, and do nothing by themselves; they leave after the test."""
    made: list[Presence] = []

    def make(*queues: str, **options: Any) -> Presence:
        presence = Presence(Link(redis_url), KEYS, Clock(), by_hand=True, **options)
        made.append(presence)
        for queue in queues:
            presence.enter(queue)
        return presence

    yield make
    for presence in made:
        presence.leave()


def _asked(client: redis.Redis) -> int:
    """Return how often anybody asked who holds what of a lane, by themselves or in a script."""
    return int(client.info("commandstats").get("cmdstat_xpending", {"calls": 0})["calls"])


@pytest.mark.redis62
def test_a_look_costs_by_the_queues_that_are_read_and_not_by_those_of_the_bus(
    make_presence: MakePresence, redis_client: redis.Redis
) -> None:
    presence = make_presence("mine")
    redis_client.sadd(KEYS.queues, *(f"queue{number}" for number in range(100)))
    before = _asked(redis_client)
    presence.scan()
    assert _asked(redis_client) - before == 2 * len(LANES), "those of its queue, and of inline deliveries"


@pytest.mark.redis62
def test_of_what_waits_a_process_is_told_for_the_queues_that_it_reads(
    make_presence: MakePresence, redis_client: redis.Redis
) -> None:
    presence = make_presence("mine", "ours")
    for queue in ("mine", "ours"):
        presence.queues.no_leftovers(queue)
    for queue in ("ours", "theirs"):
        hand_back(redis_client, KEYS.lane(queue, 5))
    presence.scan()
    assert [presence.queues.have_leftovers(queue) for queue in ("mine", "ours", "theirs")] == [False, True, False]


@pytest.mark.redis62
def test_what_the_dead_held_is_taken_over_by_who_does_not_read_it(
    make_presence: MakePresence, redis_client: redis.Redis
) -> None:
    lost: list[tuple[str, int]] = []
    reader, presence = make_presence("theirs"), make_presence("mine", when_lost=lambda *found: lost.append(found))
    for number, process in enumerate(("one", "two", "three")):
        hold(redis_client, KEYS.lane("theirs", LANES[number]), process)
        redis_client.zadd(KEYS.processes, {process: 1})
    reader.queues.no_leftovers("theirs")
    presence.scan()
    assert sorted(lost) == [("one", 1), ("three", 1), ("two", 1)]
    assert redis_client.zcard(KEYS.processes) == 2
    reader.scan()
    assert reader.queues.have_leftovers("theirs")


@pytest.mark.redis62
def test_a_call_sees_to_one_dead_process(make_presence: MakePresence, redis_client: redis.Redis) -> None:
    """Between two of them others have their turn in Redis; whoever calls does so until there is none."""
    redis_client.zadd(KEYS.processes, {"one": 1, "two": 2})
    link = make_presence()._link
    dead = [link.run(script("take_over"), KEYS.prefix, 3, 100, "")[0] for _ in range(3)]
    assert dead == [[b"one"], [b"two"], []]


@pytest.mark.redis62
def test_who_leaves_sees_to_its_own_end_and_tells_nobodys(
    make_presence: MakePresence, redis_client: redis.Redis
) -> None:
    """It tells nobody what it finds, and a supervisor may have released more of a dead process than was left here."""
    lost: list[tuple[str, int]] = []
    presence, other = make_presence("mine"), make_presence("mine", when_lost=lambda *found: lost.append(found))
    redis_client.zadd(KEYS.processes, {"a dead one": 0})
    redis_client.hset(KEYS.process("a dead one"), "released", 3)
    hold(redis_client, KEYS.lane("mine", 5), presence.name)
    other.queues.no_leftovers("mine")
    presence.leave()
    other.scan()
    assert lost == [("a dead one", 3)]
    assert redis_client.zrange(KEYS.processes, 0, -1) == [other.name.encode()]
    assert other.queues.have_leftovers("mine")


@pytest.mark.redis62
def test_what_came_late_to_a_dead_process_is_found_where_nobody_fetches(
    make_presence: MakePresence, redis_client: redis.Redis
) -> None:
    lane, presence = KEYS.lane(INLINE_QUEUE, 5), make_presence("mine")
    hold(redis_client, lane, "dead")
    presence.scan()
    assert redis_client.zscore(KEYS.processes, "dead") == 0
    presence.scan()
    assert (redis_client.xlen(lane), redis_client.zscore(KEYS.processes, "dead")) == (0, None)


@pytest.mark.redis62
def test_what_the_dead_held_of_a_queue_that_is_read_is_taken_over_though_redis_lost_its_name(
    make_presence: MakePresence, redis_client: redis.Redis
) -> None:
    """It was found, and its holder with it, and neither was seen to, without an end."""
    link = make_presence("mine")._link
    redis_client.delete(KEYS.queues)
    hold(redis_client, KEYS.lane("mine", 5), "dead")
    redis_client.zadd(KEYS.processes, {"dead": 1})
    calls = [link.run(script("take_over"), KEYS.prefix, 3, 100, "", "mine")[:2] for _ in range(3)]
    assert calls == [[[b"dead"], 1], [[b"dead"], 0], [[], 0]]
    assert redis_client.zscore(KEYS.processes, "dead") is None


@pytest.mark.redis62
def test_who_sees_to_many_dead_says_meanwhile_that_it_lives(
    make_presence: MakePresence, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, beats = make_presence("mine"), []
    monkeypatch.setattr(presence, "beat_if_due", lambda: beats.append(1))
    redis_client.zadd(KEYS.processes, {"one": 1, "two": 1, "three": 1})
    presence.scan()
    assert len(beats) == 3


@pytest.mark.redis62
def test_many_queues_are_left_some_at_a_time(make_presence: MakePresence, redis_client: redis.Redis) -> None:
    """A script of any length holds everybody up; and it asked every process what it reads for each of them."""
    presence = make_presence("mine")
    for _ in range(10):
        make_presence("ours")
    for number in range(120):
        presence.leave_queue(f"run.{number}", str(number))
    redis_client.config_resetstat()
    presence.scan()
    stats = redis_client.info("commandstats")
    assert presence.queues.left == {}
    assert stats["cmdstat_hget"]["calls"] == 3 * 11
