"""An idle process asks Redis seldom, and hears of everything all the same."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
import pytest
import redis

from eventsys import EventService
from eventsys.broker.broker import EventBroker
from eventsys.broker.lease import Lease
from eventsys.broker.patience import LONGEST_MS, Patience
from eventsys.broker.presence import Presence
from eventsys.clock import Clock
from eventsys.errors import RedisUnavailableError
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from tests.broker.holding import hand_back
from tests.conftest import FreshRedis
from tests.support.waiting import eventually


def _waits(patience: Patience, count: int) -> list[int]:
    waits = []
    for _ in range(count):
        waits.append(patience.begin())
        patience.end(found=False)
    return waits


def test_waits_grow_while_nothing_comes_and_begin_anew_with_what_does(redis_url) -> None:
    patience = Patience(Link(redis_url).channel(), 1_000)
    assert _waits(patience, 3) == [1_000, 1_000, 1_000]
    patience.lengthen()
    assert _waits(patience, 6) == [1_000, 2_000, 4_000, 8_000, LONGEST_MS, LONGEST_MS]
    patience.begin()
    patience.end(found=True)
    assert _waits(patience, 2) == [1_000, 2_000]


@pytest.mark.redis62
def test_a_long_wait_is_ended_from_another_thread(redis_client, redis_url) -> None:
    channel = Link(redis_url).channel()
    patience, ends = Patience(channel, 60_000), []

    def read() -> None:
        try:
            channel.call("XREAD", "BLOCK", patience.begin(), "STREAMS", "nothing", "0", timeout_s=60)
        except RedisUnavailableError:
            ends.append(patience.end(found=False))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    _wake(patience, reader)
    assert ends == [True]
    patience.wake()  # nobody waits: nothing is broken
    assert channel.call("PING") == b"PONG"


@pytest.mark.redis62
def test_who_is_woken_reads_on_and_what_came_at_that_moment_is_not_lost(events: EventService) -> None:
    @dramatiq.actor
    def note(number: int) -> None:
        pass

    consumer, found = events.broker.consume("default", timeout=60_000), []
    consumer.patience.lengthen()

    def read() -> None:
        while len(found) < 300:
            for message in consumer.take_all():
                found.append(message.args[0])
                consumer.ack(message)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for number in range(300):
        note.send(number)
        consumer.patience.wake()
    _wake(consumer.patience, reader)
    assert sorted(found) == list(range(300))
    consumer.close()


@pytest.mark.redis62
def test_a_redis_that_is_paused_outlives_it_that_a_reader_is_woken(fresh_redis: FreshRedis) -> None:
    """Before 7.2, CLIENT UNBLOCK ends a server there: `Unknown btype in replyToBlockedClientTimedOut()`."""
    server = fresh_redis()
    broker = EventBroker(server.url)
    broker.declare_queue("default")
    consumer = broker.consume("default", timeout=1)
    consumer.patience.lengthen()
    for _ in range(3):
        assert consumer.take_all() == []
    reader = threading.Thread(target=consumer.take_all, daemon=True)
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        reader.start()
        eventually(lambda: any("b" in one["flags"] and one["cmd"] == "xreadgroup" for one in admin.client_list()))
        consumer.patience.wake()
        admin.execute_command("CLIENT", "UNPAUSE")
        reader.join(60)
        assert admin.ping()
    consumer.close()
    broker.close()


def _wake(patience: Patience, reader: threading.Thread) -> None:
    def is_over() -> bool:
        patience.wake()
        reader.join(0.05)
        return not reader.is_alive()

    eventually(is_over)


@pytest.fixture
def make_presence(redis_client, redis_url):
    """Start presences whose idle rounds are an hour apart; they leave after the test."""
    made = []

    def make(bus: str = "default", **given: Any) -> tuple[Presence, list[str]]:
        rounds: list[str] = []
        lease = Lease(scan_s=0.05, round_s=3_600.0)
        presence = Presence(
            Link(redis_url), Keys(bus), Clock(), lease, after_scan=lambda: rounds.append("round"), **given
        )
        made.append(presence)
        return presence, rounds

    yield make
    for presence in made:
        presence.leave()


def test_an_idle_process_makes_no_round_until_it_is_stirred(make_presence) -> None:
    looks: list[int] = []
    presence, rounds = make_presence(look=lambda: looks.append(1))
    presence.appear()
    eventually(lambda: len(looks) > 20)
    assert rounds == ["round"]
    presence.stir()
    eventually(lambda: len(rounds) == 2)


def test_a_process_that_works_makes_a_round_with_every_scan(make_presence) -> None:
    ended: list[int] = []
    presence, rounds = make_presence(look=lambda: ended.append(1), activity=lambda: len(ended))
    presence.appear()
    eventually(lambda: len(rounds) > 5)


def test_what_was_handed_back_keeps_those_busy_that_read_its_queue(make_presence, redis_client) -> None:
    keys, looks = Keys("default"), []
    hand_back(redis_client, keys.lane("theirs", 5))
    redis_client.sadd(keys.queues, "theirs")
    presence, rounds = make_presence(look=lambda: looks.append(1))
    presence.appear()
    eventually(lambda: len(looks) > 20)
    assert rounds == ["round"]
    reader, rounds = make_presence()
    reader.enter("theirs")
    eventually(lambda: len(rounds) > 5)


def test_an_idle_process_finds_one_that_died_without_any_news(make_presence, redis_client) -> None:
    presence, rounds = make_presence()
    presence.appear()
    eventually(lambda: rounds)
    redis_client.zadd(Keys("default").processes, {"dead": 1})
    eventually(lambda: len(rounds) > 1)
    assert redis_client.zscore(Keys("default").processes, "dead") is None


def test_a_reader_that_waits_is_woken_for_what_was_handed_back(make_presence, events: EventService) -> None:
    @dramatiq.actor
    def note() -> None:
        pass

    note.send()
    consumer = events.broker.consume("default", timeout=0)
    message = next(consumer)
    assert message is not None
    woken: list[str] = []
    other, _ = make_presence(events.settings.name)
    other.queues.wake_by("default", lambda: woken.append("default"))
    other.enter("default")
    consumer.requeue([message])
    other.stir()
    eventually(lambda: woken)
    consumer.close()


def test_whatever_an_idle_process_must_know_is_news(events: EventService, redis_client) -> None:
    keys = events.broker.keys

    def news() -> int:
        return int(redis_client.get(keys.news) or 0)

    @events.on("order.placed", name="handle")
    def handle(event: Any) -> None:
        pass

    consumer = events.broker.consume(events.broker.actors["handle"].queue_name, timeout=0)
    assert next(consumer) is None
    before = news()
    events.machinery.control.pause("tests")
    assert news() == before + 1
    events.machinery.control.resume("tests")
    assert news() == before + 2
    events.bus.prepare()
    events.replays.replay("handle")
    assert news() == before + 3
    consumer.close()
