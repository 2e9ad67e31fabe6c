"""Plain actors: what is sent is handled, again when it fails, later when it is delayed."""

from __future__ import annotations

import threading

import dramatiq
import pytest
from dramatiq import Message, Worker
from dramatiq.encoder import JSONEncoder, PickleEncoder
from dramatiq.errors import ConnectionClosed, QueueJoinTimeout

from eventsys.broker.broker import EventBroker
from eventsys.broker.sending import plain_text
from eventsys.errors import SettingsError
from eventsys.store.scripts import script
from tests.broker.letters import letters_of
from tests.support.waiting import eventually


@pytest.mark.redis62
def test_every_message_is_handled_once(broker, start_worker) -> None:
    handled = []

    @dramatiq.actor
    def note(number, *, word):
        handled.append((number, word))

    start_worker(broker)
    for number in range(500):
        note.send(number, word="é")
    broker.join("default", timeout=60_000)
    assert sorted(handled) == [(number, "é") for number in range(500)]


def test_messages_sent_before_the_first_worker_are_handled(broker, start_worker) -> None:
    handled = []

    @dramatiq.actor
    def note(number):
        handled.append(number)

    for number in range(20):
        note.send(number)
    start_worker(broker, threads=1)
    broker.join("default", timeout=60_000)
    assert handled == list(range(20))


def test_a_worker_that_was_stopped_takes_nothing_from_one_that_runs(broker, start_worker) -> None:
    """Dramatiq's worker goes on listening for new queues, and would read them for threads that have ended."""
    handled = []
    stopped = Worker(broker, worker_timeout=100, worker_threads=8)
    stopped.start()
    stopped.stop()
    start_worker(broker)

    @dramatiq.actor(queue_name="new")
    def note(number):
        handled.append(number)

    for number in range(50):
        note.send(number)
    broker.join("new", timeout=60_000)
    assert sorted(handled) == list(range(50))
    assert "new" not in stopped.consumers


def test_two_workers_share_a_queue(make_broker, start_worker) -> None:
    handled = []
    lock = threading.Lock()
    names = []
    for _ in range(2):
        broker = make_broker()

        @dramatiq.actor(broker=broker)
        def note(number):
            with lock:
                handled.append(number)

        names.append(broker.presence.name)
        start_worker(broker)
    for number in range(500):
        note.send(number)
    broker.join("default", timeout=60_000)
    assert sorted(handled) == list(range(500))
    assert len(set(names)) == 2


@pytest.mark.redis62
def test_a_failing_actor_is_tried_again_until_it_succeeds(broker, start_worker) -> None:
    attempts = []

    @dramatiq.actor(min_backoff=10, max_backoff=20)
    def fail_twice():
        attempts.append(None)
        if len(attempts) < 3:
            raise ValueError("not yet")

    start_worker(broker)
    fail_twice.send()
    broker.join("default", timeout=60_000)
    assert len(attempts) == 3
    assert letters_of(broker) == []


def test_a_retry_comes_after_its_delay_and_keeps_the_id(broker, start_worker) -> None:
    seen = []

    @dramatiq.actor
    def ask_again():
        seen.append((broker.clock.now_ms(), dramatiq.middleware.CurrentMessage.get_current_message().message_id))
        if len(seen) == 1:
            raise dramatiq.Retry(delay=200)

    broker.add_middleware(dramatiq.middleware.CurrentMessage())
    start_worker(broker)
    message = ask_again.send()
    broker.join("default", timeout=60_000)
    assert [message_id for _, message_id in seen] == [message.message_id] * 2
    assert 200 <= seen[1][0] - seen[0][0] < 10_000


@pytest.mark.redis62
def test_a_delayed_message_is_handled_when_it_is_due_and_not_before(broker, start_worker) -> None:
    times = []

    @dramatiq.actor
    def note():
        times.append(broker.clock.now_ms())

    start_worker(broker)
    due_ms = broker.clock.now_ms() + 300
    message = note.send_with_options(delay=300)
    assert message.options["eta"] >= due_ms
    broker.join("default", timeout=60_000)
    assert 0 <= times[0] - due_ms < 10_000


def test_an_eta_in_the_past_is_handled_at_once(broker, start_worker) -> None:
    handled = threading.Event()

    @dramatiq.actor
    def note():
        handled.set()

    start_worker(broker)
    broker.enqueue(note.message().copy(options={"eta": 1}))
    assert handled.wait(60)


@pytest.mark.parametrize("eta", [None, "tomorrow", [1], {}])
def test_an_eta_that_is_no_time_does_not_lose_the_message(broker, start_worker, eta) -> None:
    handled = threading.Event()

    @dramatiq.actor
    def note():
        handled.set()

    start_worker(broker)
    broker.enqueue(note.message().copy(options={"eta": eta}))
    assert handled.wait(60)


def test_join_counts_running_delayed_and_uncommitted_messages(broker, start_worker) -> None:
    may_end = threading.Event()
    ended = []

    @dramatiq.actor
    def wait():
        may_end.wait(60)
        ended.append(1)

    start_worker(broker)
    wait.send()
    wait.send_with_options(delay=100)
    with pytest.raises(QueueJoinTimeout):
        broker.join("default", timeout=300)
    may_end.set()
    broker.join("default", timeout=60_000)
    assert ended == [1, 1]


def test_flush_drops_what_waits_and_what_is_delayed_in_one_queue_only(broker) -> None:
    @dramatiq.actor(queue_name="dropped")
    def dropped():
        pass

    @dramatiq.actor(queue_name="kept")
    def kept():
        pass

    for actor in (dropped, kept):
        for _ in range(700):
            actor.send()
            actor.send_with_options(delay=60_000)
    broker.flush("dropped")
    broker.join("dropped", timeout=60_000)
    assert broker.link.call("XLEN", broker.keys.lane("kept", 5)) == 700
    assert int(broker.link.call("HGET", broker.keys.delayed_queues, "kept")) == 700


def test_queues_that_are_flushed_at_once_leave_nothing_delayed(broker) -> None:
    """How far one of them has come says nothing of the other."""

    @dramatiq.actor(queue_name="one")
    def one():
        pass

    @dramatiq.actor(queue_name="other")
    def other():
        pass

    def step(queue: str) -> int:
        return broker.link.run(script("flush_delayed"), broker.keys.prefix, broker.clock.now_ms(), 60_000, queue, 1, "")

    other.send_with_options(delay=60_000)
    one.send_with_options(delay=60_000)
    assert step("one") == 1  # it has looked at what is the other's, and is to go on behind that
    while step("other"):
        pass
    assert broker.link.call("HGET", broker.keys.delayed_queues, "other") is None
    assert int(broker.link.call("HGET", broker.keys.delayed_queues, "one")) == 1


def test_close_commits_what_was_handled_and_leaves_nothing_behind(broker) -> None:
    handled = []

    @dramatiq.actor
    def note(number):
        handled.append(number)

    worker = Worker(broker, worker_timeout=100, worker_threads=4)
    worker.start()
    for number in range(200):
        note.send(number)
    eventually(lambda: len(handled) == 200)
    name = broker.presence.name
    worker.stop()
    broker.close()
    assert broker.link.call("XLEN", broker.keys.lane("default", 5)) == 0
    assert broker.link.call("ZSCORE", broker.keys.processes, name) is None


def test_a_closed_broker_can_work_again(broker, start_worker) -> None:
    handled = threading.Event()

    @dramatiq.actor
    def note():
        handled.set()

    first = Worker(broker, worker_timeout=100)
    first.start()
    first.stop()
    broker.close()
    start_worker(broker)
    note.send()
    assert handled.wait(60)


def test_sending_without_redis_is_an_error_of_dramatiq(tmp_path) -> None:
    broker = EventBroker(f"unix://{tmp_path}/nothing.sock")

    @dramatiq.actor(broker=broker)
    def note():
        pass

    with pytest.raises(ConnectionClosed):
        note.send()


def test_the_pickling_encoder_is_refused(broker) -> None:
    @dramatiq.actor
    def note():
        pass

    before = dramatiq.get_encoder()
    dramatiq.set_encoder(PickleEncoder())
    try:
        with pytest.raises(SettingsError, match="PickleEncoder"):
            note.send()
    finally:
        dramatiq.set_encoder(before)


@pytest.mark.parametrize(
    "value", ["é \ud800 \n", float("nan"), float("inf"), 10**30, (1, [2, {3: None}]), {"": True}, 0.1]
)
def test_a_message_is_stored_as_dramatiqs_own_encoder_writes_it(value) -> None:
    message = Message("q", "note", (value,), {"more": value}, {"retries": 1, "value": value})
    assert plain_text(message, None).encode() == message.encode()


def test_an_encoder_of_ones_own_writes_the_messages(broker, start_worker) -> None:
    class Marking(JSONEncoder):
        def encode(self, data):
            return super().encode({**data, "args": ["encoded", *data["args"]]})

    handled = []

    @dramatiq.actor
    def note(*args):
        handled.append(args)

    before = dramatiq.get_encoder()
    dramatiq.set_encoder(Marking())
    try:
        note.send(1)
    finally:
        dramatiq.set_encoder(before)
    start_worker(broker)
    broker.join("default", timeout=60_000)
    assert handled == [("encoded", 1)]
