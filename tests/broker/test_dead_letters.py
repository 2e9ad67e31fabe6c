"""What cannot be handled is kept for a person, with what went wrong."""

from __future__ import annotations

import dramatiq
import pytest
from dramatiq import Message

from eventsys.broker.attempt import current_attempt
from eventsys.store.keys import GROUP
from tests.broker.letters import letters_of
from tests.support.waiting import eventually
from tests.support.workers import worker_classes

_MESSAGE = (
    b'{"queue_name":"default","actor_name":"note","args":[],"kwargs":{},"options":{},'
    b'"message_id":"m","message_timestamp":1}'
)

#: Entries of a lane that are no message: names and values in turn.
JUNK = [
    [b"m", b""],
    [b"m", b"\xff\xfe\x00"],
    [b"m", b"null"],
    [b"m", b"[]"],
    [b"m", b"{}"],
    [b"m", _MESSAGE[:-20]],
    [b"m", _MESSAGE.replace(b'"args":[]', b'"args":1')],
    [b"m", _MESSAGE.replace(b'"kwargs":{}', b'"kwargs":[]')],
    [b"m", _MESSAGE.replace(b'"options":{}', b'"options":null')],
    [b"m", _MESSAGE.replace(b'"actor_name":"note"', b'"actor_name":7')],
    [b"m", b"[" * 100_000],
    [b"m", b'{"a":' * 50_000],
    [b"many", b"fields"] * 5_000,
    [b"x", b"y"],
    [b"", b""],
    [b"\xff", b"\xff"],
    [b"s", b"sub"],
    [b"s", b"sub", b"e", b"no envelope"],
    [b"s", b"\xff", b"e", b"{}"],
    [b"s", b"sub", b"e", b"{}", b"o", b"{"],
    [b"e", b"an event that is not in the log"],
]


@pytest.mark.redis62
def test_junk_becomes_dead_letters_and_never_stops_a_consumer(broker, start_worker) -> None:
    handled = []

    @dramatiq.actor
    def note():
        handled.append(None)

    start_worker(broker)
    for number, junk in enumerate(JUNK, 1):
        # Into a lane that nothing else uses, so that the ids of ours are not outrun.
        broker.link.call("XADD", broker.keys.lane("default", 1), f"1-{number}", *junk)
        note.send()
    broker.join("default", timeout=60_000)
    assert len(handled) == len(JUNK)
    assert [letter["reason"] for letter in letters_of(broker)] == ["undecodable"] * len(JUNK)


def test_a_dead_letter_says_what_happened(broker, start_worker) -> None:
    @dramatiq.actor(max_retries=2, min_backoff=1, max_backoff=2)
    def fail(number):
        raise ValueError(f"not {number}")

    start_worker(broker)
    message = fail.send(7)
    broker.join("default", timeout=60_000)
    (letter,) = letters_of(broker)
    assert letter["id"] == message.message_id
    assert letter["reason"] == "failed"
    assert letter["error"] == "ValueError: not 7"
    assert letter["attempts"] == "3"
    assert "in fail" in letter["traceback"]
    assert Message.decode(letter["m"].encode()).args == (7,)


def test_a_huge_error_is_cut(broker, start_worker) -> None:
    @dramatiq.actor(max_retries=0)
    def fail():
        raise ValueError("x" * 1_000_000)

    start_worker(broker)
    fail.send()
    broker.join("default", timeout=60_000)
    (letter,) = letters_of(broker)
    assert len(letter["error"]) <= 1_000
    assert len(letter["traceback"]) <= 8_000


@pytest.mark.parametrize("lane", ["queue", "delayed"])
def test_an_actor_that_ends_the_thread_is_a_failure_like_any_other(broker, start_worker, lane) -> None:
    @dramatiq.actor(max_retries=0)
    def leave():
        raise SystemExit(3)

    start_worker(broker)
    leave.send_with_options(delay=None if lane == "queue" else 10)
    broker.join("default", timeout=60_000)
    assert [letter["reason"] for letter in letters_of(broker)] == ["failed"]


def _unknown(queue="default") -> Message:
    return Message(queue_name=queue, actor_name="nobody", args=(), kwargs={}, options={})


def test_a_message_of_an_unknown_actor_is_parked(make_broker, start_worker) -> None:
    broker = make_broker()
    broker.declare_queue("default")
    start_worker(broker)
    message = broker.enqueue(_unknown())
    eventually(lambda: broker.link.call("HGET", broker.keys.delayed_queues, "default") == b"1")
    eventually(lambda: broker.link.call("XLEN", broker.keys.lane("default", 5)) == 0)
    assert letters_of(broker) == []
    (body,) = broker.link.call("HVALS", broker.keys.delayed_bodies)
    assert message.message_id.encode() in body


def test_a_message_parked_for_too_long_is_a_dead_letter(make_broker, start_worker) -> None:
    broker = make_broker(parked_ms=0)
    broker.declare_queue("default")
    start_worker(broker)
    message = broker.enqueue(_unknown())
    broker.join("default", timeout=60_000)
    (letter,) = letters_of(broker)
    assert (letter["id"], letter["reason"]) == (message.message_id, "unknown_actor")


def test_a_lane_without_its_group_is_given_one(broker, start_worker) -> None:
    """As after Redis was emptied under a running worker."""
    handled = []

    @dramatiq.actor
    def note():
        handled.append(None)

    start_worker(broker)
    note.send()
    broker.join("default", timeout=60_000)
    for lane in (10, 8, 5, 1):
        broker.link.call("XGROUP", "DESTROY", broker.keys.lane("default", lane), GROUP)
    note.send()
    broker.join("default", timeout=60_000)
    assert len(handled) == 2


def test_an_ending_that_fails_is_a_dead_letter_and_takes_no_other_with_it(broker, start_worker) -> None:
    """Redis takes back nothing that a script wrote before an error, so one bad ending must not spoil a commit."""
    handled = []

    @dramatiq.actor(max_retries=3)
    def note(number):
        if number == 3:
            raise ValueError
        handled.append(number)

    broker.link.call("SET", broker.keys.delayed_due, "no sorted set, so no retry can be kept")
    for number in range(8):
        note.send(number)
    start_worker(broker)
    eventually(lambda: len(handled) == 7)
    eventually(lambda: letters_of(broker))
    eventually(lambda: broker.link.call("XLEN", broker.keys.lane("default", 5)) == 0)
    [letter] = letters_of(broker)
    assert letter["reason"] == "commit_failed"
    assert "WRONGTYPE" in letter["error"]
    broker.link.call("DEL", broker.keys.delayed_due)


@pytest.mark.parametrize("worker_class", worker_classes(), ids=lambda one: one.__module__)
@pytest.mark.parametrize(("parked_ms", "expected"), [(60_000, []), (0, ["before", "after"])])
def test_hooks_are_told_that_a_message_is_rejected_when_it_is_given_up(
    make_broker, worker_class, parked_ms, expected
) -> None:
    told = []

    class Telling(dramatiq.Middleware):
        def before_nack(self, broker, message) -> None:
            told.append("before")

        def after_nack(self, broker, message) -> None:
            told.append("after")

    broker = make_broker(more=[Telling()], parked_ms=parked_ms)
    broker.declare_queue("default")
    broker.enqueue(_unknown())
    worker = worker_class(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        eventually(lambda: letters_of(broker) or broker.link.call("ZCARD", broker.keys.delayed_due))
    finally:
        worker.stop()
    broker.work.committer.join()
    assert told == expected


def test_a_message_that_was_parked_before_an_attempt_is_parked_anew_after_it(broker, start_worker) -> None:
    seen = []

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
    def fail() -> None:
        seen.append(current_attempt().message.options)
        raise ValueError

    parked = fail.message_with_options(parked_ms=1).encode()
    broker.link.call("XADD", broker.keys.lane("default", 5), "1-1", b"m", parked)
    start_worker(broker)
    broker.join("default", timeout=60_000)
    assert [options.get("parked_ms") for options in seen] == [1, None]
