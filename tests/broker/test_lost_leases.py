"""What a process fetches around the moment at which it learns that its lease was ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dramatiq
import pytest
import redis

from eventsys.broker.broker import EventBroker
from eventsys.broker.consumer import EventConsumer
from eventsys.broker.lease import Lease
from eventsys.errors import RedisUnavailableError
from eventsys.store.keys import GROUP, SUSPECTS
from eventsys.store.link import Link
from tests.support.connections import Newcomers
from tests.support.waiting import eventually

#: Nothing happens by itself while a test runs.
_STILL = Lease(lease_ms=600_000, beat_s=600.0, scan_s=600.0, round_s=600.0)


@pytest.fixture
def lone(make_broker: Any) -> EventBroker:
    """A broker whose lease does what the test says."""
    broker: EventBroker = make_broker(lease=_STILL)

    @dramatiq.actor(broker=broker)
    def note(number: int) -> None:
        pass

    return broker


def _end_lease(broker: EventBroker) -> None:
    """Have another process find it dead, and take over everything, which is nothing."""
    broker.link.call("ZADD", broker.keys.processes, 1, broker.presence.name)
    broker.presence.scan()


def _next_number(consumer: EventConsumer) -> int | None:
    message = next(consumer)
    if message is None:
        return None
    consumer.ack(message)
    return int(message.args[0])


@pytest.mark.parametrize("reads_on", [True, False], ids=["as it reads", "while it waits for room"])
def test_what_is_read_after_the_lease_was_lost_is_handled(
    lone: EventBroker, monkeypatch: pytest.MonkeyPatch, reads_on: bool
) -> None:
    """What came under the former name would wait for ever: what was held there had been taken over before."""
    consumer = lone.consume("default", timeout=0)
    assert _next_number(consumer) is None
    former = lone.presence.name
    _end_lease(lone)
    where, name = (consumer._reader, "read_at_once") if reads_on else (lone.work.in_flight, "wait_for_room")
    go_on = getattr(where, name)

    def learns_of_it(*given: Any) -> Any:
        monkeypatch.setattr(where, name, go_on)
        lone.presence.beat()
        lone.presence.scan()
        lone.get_actor("note").send(7)
        return go_on(*given)

    monkeypatch.setattr(where, name, learns_of_it)
    assert eventually(lambda: _next_number(consumer), timeout_s=10) == 7
    assert lone.work.committer.join(10)
    assert len(lone.work.in_flight) == 0
    groups = lone.link.call("XINFO", "CONSUMERS", lone.keys.lane("default", 5), GROUP)
    assert former not in {row[1].decode() for row in groups}
    consumer.close()


def test_a_reader_that_is_back_first_does_not_revive_a_lease_that_was_ended(lone: EventBroker) -> None:
    """Else the process would begin what it had fetched, and commit it, while others have it: the beat found nothing."""
    consumer = lone.consume("default", timeout=0)
    lone.get_actor("note").send(7)
    fetched = eventually(lambda: next(consumer))
    former = lone.presence.name
    _end_lease(lone)
    again = lone.consume("default", timeout=0)
    next(again)  # enters the queue, as a reader does whose connection broke
    assert not lone.presence.holds(fetched.place.holder)
    assert lone.presence.name != former
    assert lone.link.call("ZSCORE", lone.keys.processes, former) in {None, b"0"}
    assert lone.link.call("ZSCORE", lone.keys.processes, lone.presence.name) is not None
    for one in (consumer, again):
        one.close()


def test_a_former_name_is_told_of_again_where_redis_could_not_be_told(
    lone: EventBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what came under it before the process knew would wait for ever."""
    consumer = lone.consume("default", timeout=0)
    assert _next_number(consumer) is None
    former = lone.presence.name
    _end_lease(lone)

    def is_away(_commands: Any) -> None:
        raise RedisUnavailableError("away")

    with monkeypatch.context() as during:
        during.setattr(lone.link, "pipeline", is_away)
        with pytest.raises(RedisUnavailableError):
            lone.presence.beat()
    assert lone.presence.name != former
    lane = lone.keys.lane("default", 5)
    lone.get_actor("note").send(7)
    lone.link.call("XREADGROUP", "GROUP", GROUP, former, "COUNT", 1, "STREAMS", lane, ">")
    assert (
        eventually(lambda: (lone.presence.beat(), lone.presence.scan(), _next_number(consumer))[-1], timeout_s=10) == 7
    )
    consumer.close()


def test_what_cannot_be_handed_back_is_not_taken_to_be_held(lone: EventBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would ever handle it: to this process it would not be new, and others may not have it."""
    consumer = lone.consume("default", timeout=0)
    assert _next_number(consumer) is None
    lone.get_actor("note").send(7)

    def is_away(_places: Any) -> None:
        raise RedisUnavailableError("away")

    with monkeypatch.context() as during:
        during.setattr(lone.work, "give_back", is_away)
        during.setattr(lone.presence, "is_paused", lambda _queue: consumer._ready)  # it is, since the message was read
        with pytest.raises(dramatiq.ConnectionClosed):
            next(consumer)
        consumer.close()
    again = lone.consume("default", timeout=0)
    assert _next_number(again) == 7
    again.close()


def test_one_look_takes_over_from_all_that_died(lone: EventBroker) -> None:
    """As when a machine is lost with all its processes: the next look may be seconds away."""
    link, keys = lone.link, lone.keys
    lane = keys.lane("default", 5)
    assert next(lone.consume("default", timeout=0)) is None
    for number in range(9):
        link.call("ZADD", keys.processes, 1, f"gone-{number}")
        link.call("XADD", lane, "*", "m", "{}")
        link.call("XREADGROUP", "GROUP", GROUP, f"gone-{number}", "COUNT", 1, "STREAMS", lane, ">")
    lone.presence.scan()
    assert link.call("XPENDING", lane, GROUP)[3] == [[SUSPECTS.encode(), b"9"]]
    assert link.call("ZRANGE", keys.processes, 0, -1) == [lone.presence.name.encode()]


def test_a_reader_waits_in_redis_for_no_longer_than_its_lease_lasts(
    make_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its machine is lost the wait goes on, and takes what comes, under a name that is over."""
    broker = make_broker(lease=_STILL._replace(lease_ms=1_200))
    broker.declare_queue("default")
    consumer, waits = broker.consume("default", timeout=30_000), []
    read_or_wait = consumer._reader.read_or_wait

    def note_wait(room: int, timeout_ms: int) -> Any:
        now_ms = broker.clock.real_ms()
        lease_end_ms = int(broker.link.call("ZSCORE", broker.keys.processes, broker.presence.name))
        waits.append((timeout_ms, lease_end_ms - now_ms))
        return read_or_wait(room, timeout_ms)

    monkeypatch.setattr(consumer._reader, "read_or_wait", note_wait)
    for _ in range(2):  # the second time the lease is nearly over, and renewed first
        assert consumer.take_all() == []
    assert [300 < wait_ms < left_ms for wait_ms, left_ms in waits] == [True, True], waits
    consumer.close()


@pytest.mark.redis62
def test_what_the_read_of_a_lost_machine_takes_after_its_lease_is_found(
    lone: EventBroker, redis_client: redis.Redis, redis_url: str
) -> None:
    """Its connection is not closed, so Redis serves it first, and makes the consumer anew that was removed."""
    link, keys = lone.link, lone.keys
    lane = keys.lane("default", 5)
    consumer = lone.consume("default", timeout=0)
    assert next(consumer) is None
    link.call("ZADD", keys.processes, 10**15, "gone")
    newcomers, lost = Newcomers(redis_client), Link(redis_url).channel()
    read = ("XREADGROUP", "GROUP", GROUP, "gone", "COUNT", 1, "BLOCK", 60_000, "STREAMS", lane, ">")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(lost.call, *read, timeout_s=60)
        newcomers.wait_until_one_waits()
        link.call("ZADD", keys.processes, 0, "gone")
        lone.presence.scan()
        lone.get_actor("note").send(7)
        assert waiting.result(60)
    assert link.call("XPENDING", lane, GROUP)[3] == [[b"gone", b"1"]]
    lone.presence.scan()
    lone.presence.scan()
    assert _next_number(consumer) == 7
    assert lone.work.committer.join(10)
    assert link.call("ZRANGE", keys.processes, 0, -1) == [lone.presence.name.encode()]
    lost.close()
    consumer.close()
