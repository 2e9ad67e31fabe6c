"""Processes that end, well or badly, and what becomes of the messages they held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import dramatiq
import pytest
from dramatiq import Worker

from eventsys.broker import processing
from eventsys.broker.lease import Lease
from eventsys.broker.leftovers import CRASH_LIMIT
from eventsys.model.priority import LANES
from eventsys.store.keys import GROUP, INLINE_QUEUE, RETURNED, SUSPECTS
from eventsys.store.link import run_script_once
from eventsys.store.scripts import script
from tests.broker import crash_app
from tests.broker.letters import letters_of
from tests.support.connections import Newcomers
from tests.support.waiting import eventually


@pytest.fixture
def start_process(redis_url: str) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start worker processes of `crash_app`; they are ended after the test."""
    started: list[subprocess.Popen] = []

    def start(threads: int = 4) -> subprocess.Popen:
        command = [sys.executable, "-m", "tests.broker.crash_app", redis_url, str(threads)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def app(redis_client, redis_url):
    """The broker of `crash_app` in this process, for sending and looking."""
    broker = crash_app.make(redis_url)
    yield broker
    broker.close()


def _send(broker, name: str, *args) -> None:
    broker.get_actor(name).send(*args)


def _count(broker, key: str) -> int:
    return int(broker.link.call("HLEN", key))


def test_the_usual_figures_promise_a_takeover_within_15_s() -> None:
    lease = Lease()
    assert lease.lease_ms / 1000 + lease.scan_s <= 15
    assert 3 * lease.beat_s * 1000 <= lease.lease_ms


@pytest.mark.redis62
def test_messages_of_a_killed_process_are_handled_by_another_one(app, start_process) -> None:
    process = start_process()
    for number in range(4):
        _send(app, "hold", number)
    eventually(lambda: _count(app, "started") == 4)
    for number in range(100):
        _send(app, "note", number)
    os.kill(process.pid, signal.SIGKILL)
    start_process(threads=8)
    eventually(lambda: _count(app, "handled") == 100)
    assert set(app.link.call("HVALS", "handled")) == {b"1"}
    # Suspects are handed out alone, and this one keeps its process busy: the others wait for it.
    eventually(lambda: sorted(app.link.call("HVALS", "started")) == [b"1", b"1", b"1", b"2"])


def test_one_message_that_kills_its_process_buries_itself_and_no_neighbour(app, start_process) -> None:
    for number in range(150):
        _send(app, "note", number)
    _send(app, "crash")
    for number in range(150, 300):
        _send(app, "note", number)
    ends = []
    for _ in range(5):
        process = start_process()
        ends.append(process.wait(timeout=60))
    start_process()
    app.join("default", timeout=60_000)
    assert ends == [-signal.SIGSEGV] * 5
    assert app.link.call("GET", "crashed") == b"5"
    assert _count(app, "handled") == 300
    assert [(letter["reason"], letter["attempts"]) for letter in letters_of(app)] == [("crash_loop", "5")]


def test_suspects_go_by_urgency_until_one_has_waited_for_long(broker) -> None:
    """Else those of the lowest lane would starve where processes are killed faster than suspects can be handed out."""
    link, keys = broker.link, broker.keys
    lanes = [keys.lane("default", lane) for lane in LANES]

    def claim() -> int:
        arguments = (broker.clock.now_ms(), "somebody", CRASH_LIMIT, 60_000)
        stream, _, _ = link.run(script("claim_suspect"), keys.prefix, *arguments, *lanes)
        return LANES[lanes.index(stream.decode())]

    for lane in lanes:
        link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
        for _ in range(2):
            link.call("XADD", lane, "*", "m", "{}")
        link.call("XREADGROUP", "GROUP", GROUP, SUSPECTS, "COUNT", 2, "STREAMS", lane, ">")
    assert claim() == 10
    held = link.call("XPENDING", lanes[-1], GROUP, "-", "+", 1)
    link.call("XCLAIM", lanes[-1], GROUP, SUSPECTS, 0, held[0][0], "IDLE", 10_000, "JUSTID")
    assert claim() == 1, "it waited for ten seconds"
    assert [claim(), claim()] == [10, 8]


def test_readers_of_two_queues_claim_no_two_suspects_at_once(broker, monkeypatch) -> None:
    """The one that waits for the other has its crash counted too, and is buried with it in the end."""
    link = broker.link
    for queue in ("one", "two"):
        dramatiq.actor(broker=broker, actor_name=queue, queue_name=queue)(lambda: None).send()
        lane = broker.keys.lane(queue, 5)
        link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
        link.call("XREADGROUP", "GROUP", GROUP, SUSPECTS, "COUNT", 1, "STREAMS", lane, ">")
    one, two = (broker.consume(queue, timeout=0) for queue in ("one", "two"))
    meanwhile = []

    def run_and_look_at_the_other(channel, asked, *arguments):
        claimed = run_script_once(channel, asked, *arguments)
        if asked.name == "claim_suspect" and not meanwhile:
            meanwhile.append(None)  # the one below asks too
            meanwhile[0] = next(two)
        return claimed

    monkeypatch.setattr("eventsys.broker.leftovers.run_script_once", run_and_look_at_the_other)
    first = eventually(lambda: next(one))
    assert (first.place.is_suspect, meanwhile) == (True, [None])
    assert link.call("HLEN", f"{broker.keys.prefix}:crashes") == 1
    one.ack(first)
    second = eventually(lambda: next(two))
    assert (second.actor_name, second.place.is_suspect) == ("two", True)
    two.ack(second)
    one.close()
    two.close()


def test_what_kills_again_and_again_stands_in_no_way(broker) -> None:
    """A hundred of such messages came before; what was merely beside them goes first."""
    link, lane = broker.link, broker.keys.lane("default", 5)
    link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    entries = [link.call("XADD", lane, "*", "m", "{}") for _ in range(103)]
    link.call("XREADGROUP", "GROUP", GROUP, SUSPECTS, "COUNT", 200, "STREAMS", lane, ">")
    for entry in entries[:100]:
        link.call("HSET", f"{broker.keys.prefix}:crashes", f"{lane}|{entry.decode()}", 3)
    arguments = (broker.clock.now_ms(), "somebody", CRASH_LIMIT, 60_000, lane)
    claimed = [link.run(script("claim_suspect"), broker.keys.prefix, *arguments)[1][0] for _ in range(4)]
    assert claimed == [*entries[100:], entries[0]]


def test_a_terminated_process_hands_back_what_it_had_not_started(broker) -> None:
    may_end = threading.Event()
    handled = []

    @dramatiq.actor
    def wait(number):
        handled.append(number)
        may_end.wait(60)

    worker = Worker(broker, worker_timeout=50, worker_threads=2)
    worker.queue_prefetch = 20
    worker.start()
    for number in range(30):
        wait.send(number)
    eventually(lambda: len(handled) == 2)
    lane = broker.keys.lane("default", 5)
    eventually(lambda: broker.link.call("XPENDING", lane, "workers")[0] == 10)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    eventually(lambda: not any(thread.running for thread in worker.workers))
    may_end.set()
    stopping.join()
    returned = broker.link.call("XPENDING", lane, "workers", "-", "+", 100, RETURNED)
    started = len(handled)
    assert len(returned) + started >= 10
    assert {entry[3] for entry in returned} == {0}
    assert broker.link.call("XLEN", lane) == 30 - started
    again = Worker(broker, worker_timeout=50, worker_threads=2)
    again.start()
    broker.join("default", timeout=60_000)
    again.stop()
    assert sorted(handled) == list(range(30))


def test_a_process_that_lost_its_lease_commits_nothing(make_broker, start_worker) -> None:
    """What it was handling is handled by another process; its own outcome and messages count for nothing."""
    slow = make_broker(lease=Lease(beat_s=3_600.0))  # no beat of it comes between its end and the other one's look
    may_end, handled, followed = threading.Event(), [], []

    @dramatiq.actor(broker=slow, actor_name="work", transactional=True)
    def work_slowly():
        slow.get_actor("follow").send("slow")
        handled.append("slow")
        may_end.wait(60)

    quick = make_broker(lease=Lease(scan_s=0.05))

    @dramatiq.actor(broker=quick, actor_name="work", transactional=True)
    def work():
        quick.get_actor("follow").send("quick")
        handled.append("quick")

    for one in (slow, quick):
        dramatiq.actor(followed.append, broker=one, actor_name="follow", queue_name="following")
    start_worker(slow, threads=1, queues={"default"})
    work_slowly.send()
    eventually(lambda: handled)
    slow.link.call("ZADD", slow.keys.processes, 1, slow.presence.name)
    start_worker(quick)
    eventually(lambda: handled == ["slow", "quick"])
    eventually(lambda: followed == ["quick"])
    may_end.set()
    assert slow.work.committer.join(60)
    quick.join("default", timeout=60_000)
    quick.join("following", timeout=60_000)
    assert followed == ["quick"]
    assert handled == ["slow", "quick"]


def test_a_process_that_is_about_to_end_begins_nothing_more(broker, redis_client) -> None:
    """Its fetch may wait in Redis when the end is decided, and bring the retry of the very message that decided it."""
    begun = []

    @dramatiq.actor
    def note(number):
        begun.append(number)

    newcomers = Newcomers(redis_client)
    consumer = broker.consume("default", prefetch=8, timeout=60_000)
    note.send(1)
    fetched = next(consumer)
    with ThreadPoolExecutor(1) as thread:
        fetch = thread.submit(next, consumer)
        newcomers.wait_until_one_waits()
        broker.work.is_ending = True
        note.send(2)
        assert fetch.result(60) is None
    processing.process(broker, fetched)
    assert begun == []
    assert broker.work.in_flight.besides([]) == [fetched]  # for whoever ends the process to hand back
    lane = broker.keys.lane("default", 5)
    assert len(broker.link.call("XPENDING", lane, "workers", "-", "+", 100, RETURNED)) == 1


def _dead_at(broker, now_ms: int) -> list[bytes]:
    return broker.link.run(script("take_over"), broker.keys.prefix, now_ms, 100, "")[0]


def _beat(broker, now_ms: int, *processes: str) -> list[int]:
    return broker.link.run(script("beat"), broker.keys.prefix, now_ms, 12_000, *processes)


def _introduce(broker, now_ms: int, process: str) -> None:
    arguments = (process, "host", 1, 0, now_ms, now_ms + 12_000, 12_000, 0, "default", "default")
    broker.link.run(script("introduce"), broker.keys.prefix, *arguments)


@pytest.mark.redis62
@pytest.mark.parametrize("comes_first", ["one of them", "a new one"])
def test_who_comes_first_after_an_outage_leaves_the_living_their_messages(broker, comes_first: str) -> None:
    for process in ("first", "second", "dead", "ended"):
        _introduce(broker, 1_000, process)
    broker.link.call("ZADD", broker.keys.processes, 0, "ended")
    if comes_first == "one of them":
        assert _beat(broker, 61_000, "first") == [1]
    else:
        _introduce(broker, 61_000, "new")
        assert _beat(broker, 61_200, "first") == [1]
    assert _dead_at(broker, 61_300) == [b"ended"]
    assert _beat(broker, 62_000, "second") == [1]
    assert _dead_at(broker, 65_900) == []
    assert _dead_at(broker, 66_000) == [b"dead"], "it had five seconds to say that it lives"
    assert _dead_at(broker, 66_001) == []


@pytest.mark.redis62
def test_while_anybody_beats_a_lease_is_as_long_as_it_was(broker) -> None:
    for process in ("living", "dead"):
        _introduce(broker, 1_000, process)
    for now_ms in (5_000, 9_000, 13_000):
        assert _beat(broker, now_ms, "living") == [1]
    assert _dead_at(broker, 12_999) == []
    assert _dead_at(broker, 13_000) == [b"dead"]


def test_what_is_handed_back_all_the_time_starves_no_suspect_and_is_not_starved(broker, start_worker) -> None:
    handled: list[str] = []

    @dramatiq.actor
    def note(kind):
        handled.append(kind)

    link, lane = broker.link, broker.keys.lane("default", 5)
    link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    for kind, consumer in (("returned", RETURNED), ("suspect", SUSPECTS)):
        for _ in range(40):
            note.send(kind)
        link.call("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", 40, "STREAMS", lane, ">")
    start_worker(broker, threads=1)
    eventually(lambda: len(handled) == 80)
    assert set(handled[:4]) == {"returned", "suspect"}


def test_a_stray_inline_delivery_leaves_the_queue_of_its_ended_subscription_known(broker) -> None:
    """What that queue holds still has to be cancelled, by whoever settles what has ended."""
    link, keys = broker.link, broker.keys
    lane = keys.lane(INLINE_QUEUE, 5)
    link.call("HSET", keys.subscriptions_ended, "mine", "run.mine")
    link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    link.call("XADD", lane, "*", "s", "mine", "e", "{}")
    [[_, [[entry, _]]]] = link.call("XREADGROUP", "GROUP", GROUP, "publisher", "STREAMS", lane, ">")
    given = link.run(script("requeue_inline"), keys.prefix, broker.clock.now_ms(), "publisher", lane, entry)
    assert (given, link.call("XLEN", keys.room("mine", 5))) == (1, 1)
    assert link.call("HGET", keys.subscriptions_ended, "mine") == b"run.mine"
