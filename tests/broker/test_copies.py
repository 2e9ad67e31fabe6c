"""Copies of a message have its id, as Dramatiq makes them: each waits, is tried and is given up by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq

from eventsys.broker.broker import EventBroker
from tests.broker.letters import letters_of

Start = Callable[..., Any]


def test_each_of_several_copies_waits_for_its_own_time(broker: EventBroker, start_worker: Start) -> None:
    handled = []

    @dramatiq.actor
    def note(word: str) -> None:
        handled.append(word)

    message = note.message("again")
    for delay in (1, 2, 3_600_001):
        broker.enqueue(message, delay=delay)
    assert broker.link.call("HGETALL", broker.keys.delayed_queues) == [b"default", b"3"]
    broker.flush("default")
    assert broker.link.call("EXISTS", broker.keys.delayed_due, broker.keys.delayed_far_due) == 0
    for delay in (1, 2):
        broker.enqueue(message, delay=delay)
    start_worker(broker)
    broker.join("default", timeout=60_000)
    assert handled == ["again", "again"]


def test_a_pipelines_last_step_waits_once_for_each_pipeline(broker: EventBroker, start_worker: Start) -> None:
    handled = []

    @dramatiq.actor
    def work(number: int) -> int:
        return number

    @dramatiq.actor
    def report(number: int) -> None:
        handled.append(number)

    tail = report.message_with_options(delay=1)
    start_worker(broker)
    dramatiq.group([work.message(1) | tail, work.message(2) | tail]).run()
    broker.join("default", timeout=60_000)
    assert sorted(handled) == [1, 2]


def test_each_copy_that_fails_is_tried_again_and_given_up_by_itself(broker: EventBroker, start_worker: Start) -> None:
    attempts = []

    @dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
    def fail() -> None:
        attempts.append(None)
        raise ValueError

    message = fail.message()
    for _ in range(2):
        broker.enqueue(message)
    start_worker(broker)
    broker.join("default", timeout=60_000)
    first, second = letters_of(broker)
    assert len(attempts) == 4
    assert first["id"] == message.message_id
    assert second["id"].startswith(f"{message.message_id}#")
