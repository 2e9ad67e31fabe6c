"""Redis away, emptied of its scripts, or without our connections: nothing is lost."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import dramatiq
import dramatiq.worker
import pytest

from eventsys.errors import RedisRefusedError, RedisUnavailableError
from eventsys.store.keys import GROUP, SUSPECTS
from eventsys.store.link import run_script_once
from tests.support.waiting import eventually

_COUNT = 600


@pytest.fixture(autouse=True)
def _quick_reconnect(monkeypatch) -> None:
    """Dramatiq waits 3 s before it consumes again; a tenth is enough to see that it does."""
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.1)


@pytest.fixture
def load(make_broker, start_worker):
    """Return what runs `disturb` while messages are being handled, and gives how often each was."""

    def run(disturb, url=None, *, delayed=False) -> Counter:
        broker = make_broker(url) if url else make_broker()
        handled: Counter = Counter()
        lock = threading.Lock()
        some = threading.Event()

        @dramatiq.actor
        def note(number):
            threading.Event().wait(0.002)
            with lock:
                handled[number] += 1
            if len(handled) > _COUNT // 6:
                some.set()

        for number in range(_COUNT):
            note.send_with_options(args=(number,), delay=10 if delayed else None)
        start_worker(broker, threads=4)
        assert some.wait(60)
        disturb(broker)
        eventually(lambda: len(handled) == _COUNT)
        broker.join("default", timeout=60_000)
        return handled

    return run


@pytest.mark.redis62
def test_nothing_is_lost_when_the_scripts_are_flushed(load) -> None:
    handled = load(lambda broker: broker.link.call("SCRIPT", "FLUSH"))
    assert set(handled.values()) == {1}


def test_nothing_is_lost_when_every_connection_is_killed(load) -> None:
    def kill(broker) -> None:
        for _ in range(5):
            broker.link.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            broker.link.call("CLIENT", "KILL", "TYPE", "pubsub")
            threading.Event().wait(0.05)

    handled = load(kill)
    assert set(handled.values()) == {1}


def test_delayed_messages_survive_the_kill_of_the_pollers_connections(load) -> None:
    handled = load(lambda broker: broker.link.call("CLIENT", "KILL", "TYPE", "pubsub"), delayed=True)
    assert set(handled.values()) == {1}


def test_nothing_is_lost_when_redis_is_killed_and_restarted(load, fresh_redis) -> None:
    """With its file flushed every second a kill may undo the last commits: those messages are handled again."""
    server = fresh_redis()

    def restart(_broker) -> None:
        server.kill()
        threading.Event().wait(0.3)
        server.start()

    handled = load(restart, server.url)
    assert len(handled) == _COUNT


def _become_a_replica(broker) -> None:
    """As the old node of a failover: it is there, and takes no writes; its master never answers."""
    broker.link.call("REPLICAOF", "127.0.0.1", "1")
    threading.Event().wait(0.3)
    broker.link.call("REPLICAOF", "NO", "ONE")


def _be_busy(broker) -> None:
    """As while somebody's script runs for too long."""
    broker.link.call("CONFIG", "SET", "lua-time-limit", "20")
    with ThreadPoolExecutor(1) as thread:
        stuck = thread.submit(broker.link.call, "EVAL", "while true do end", "0")
        threading.Event().wait(0.3)

        def is_ended() -> bool:
            with suppress(RedisRefusedError):  # it may not have begun yet
                broker.link.call("SCRIPT", "KILL")
            return stuck.done()

        eventually(is_ended)
        assert isinstance(stuck.exception(), RedisRefusedError)


def _deny_scripts(broker) -> None:
    """As when an operator got the permissions wrong."""
    broker.link.call("ACL", "SETUSER", "default", "-eval", "-evalsha")
    threading.Event().wait(0.3)
    broker.link.call("ACL", "SETUSER", "default", "+eval", "+evalsha")


@pytest.mark.redis62
@pytest.mark.parametrize("disturb", [_become_a_replica, _be_busy, _deny_scripts])
def test_nothing_is_lost_or_doubled_while_redis_answers_with_errors(load, fresh_redis, disturb) -> None:
    handled = load(disturb, fresh_redis().url)
    assert set(handled.values()) == {1}


@pytest.mark.redis62
def test_messages_whose_reply_was_lost_are_found_again(make_broker, start_worker) -> None:
    """Redis believes that this process holds them; the process never heard of it."""
    broker = make_broker()
    handled = []

    @dramatiq.actor
    def note(number):
        handled.append(number)

    consumer = broker.consume("default", prefetch=16, timeout=10)
    assert next(consumer) is None
    for number in range(8):
        note.send(number)
    fetch = consumer._reader.read_now(64)
    assert len(fetch) == 8
    consumer.close()
    start_worker(broker)
    broker.join("default", timeout=60_000)
    assert sorted(handled) == list(range(8))


def test_a_suspect_whose_reply_was_lost_is_handed_out_alone_and_counted_once(broker, monkeypatch) -> None:
    """It may be what killed the process before, and what runs beside it would be suspected with it."""

    @dramatiq.actor
    def note(number):
        pass

    link, lane = broker.link, broker.keys.lane("default", 5)
    link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    note.send(0)
    link.call("XREADGROUP", "GROUP", GROUP, SUSPECTS, "COUNT", 1, "STREAMS", lane, ">")
    note.send(1)

    def lose_reply(*given):
        found = run_script_once(*given)
        if given[1].name == "claim_suspect":
            raise RedisUnavailableError("the reply was lost")
        return found

    consumer = broker.consume("default", prefetch=16, timeout=0)
    with monkeypatch.context() as losing, suppress(dramatiq.ConnectionClosed):
        losing.setattr("eventsys.broker.leftovers.run_script_once", lose_reply)
        next(consumer)
        pytest.fail("nothing was lost")
    consumer.close()
    again = broker.consume("default", prefetch=16, timeout=0)
    found = again.take_all()
    assert [(one.args[0], one.place.is_suspect) for one in found] == [(0, True)]
    assert link.call("HVALS", f"{broker.keys.prefix}:crashes") == [b"1"]
    again.ack(found[0])
    [other] = eventually(again.take_all)
    assert (other.args[0], other.place.is_suspect) == (1, False)
    again.ack(other)
    again.close()


def test_what_is_being_handled_is_not_taken_for_a_lost_reply(broker, start_worker) -> None:
    may_end = threading.Event()
    handled = []

    @dramatiq.actor
    def wait(number):
        handled.append(number)
        may_end.wait(60)

    start_worker(broker, threads=4)
    for number in range(4):
        wait.send(number)
    eventually(lambda: len(handled) == 4)
    second = broker.consume("default", prefetch=16, timeout=10)
    assert next(second) is None
    second.close()
    may_end.set()
    broker.join("default", timeout=60_000)
    assert sorted(handled) == [0, 1, 2, 3]
