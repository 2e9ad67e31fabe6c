"""What hooks of the middleware send after a handler goes out, whatever the handler left behind and however it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq

from eventsys.broker.attempt import MAX_BYTES, MAX_STEPS
from eventsys.broker.broker import EventBroker
from tests.broker.letters import letters_of

Start = Callable[..., Any]


def test_a_pipeline_goes_on_with_a_result_that_no_commit_has_room_for(broker: EventBroker, start_worker: Start) -> None:
    handled = []

    @dramatiq.actor
    def make(size: int) -> str:
        return "x" * size

    @dramatiq.actor
    def measure(text: str) -> None:
        handled.append(len(text))

    start_worker(broker)
    (make.message(MAX_BYTES) | measure.message()).run()
    broker.join("default", timeout=60_000)
    assert handled == [MAX_BYTES]


def test_a_callback_is_sent_though_its_actor_sent_all_it_may(broker: EventBroker, start_worker: Start) -> None:
    told = []

    @dramatiq.actor(queue_name="elsewhere")
    def note() -> None: ...

    @dramatiq.actor
    def tell(message: Any, result: Any) -> None:
        told.append(result)

    @dramatiq.actor(transactional=True)
    def send() -> str:
        for _ in range(MAX_STEPS):
            note.send()
        return "sent"

    start_worker(broker, queues={"default"})
    send.send_with_options(on_success=tell)
    broker.join("default", timeout=60_000)
    assert told == ["sent"]
    assert letters_of(broker) == []
