"""What hooks of the middleware send after a handler goes out, whatever the handler left behind and however it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq
import pytest

from eventsys.broker.attempt import MAX_BYTES, MAX_STEPS
from eventsys.broker.broker import EventBroker
from eventsys.middleware.retries import Retries
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


class Fallback(dramatiq.Middleware):
    """Sends what failed to another queue, under its id."""

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        if exception is not None and message.queue_name == "default":
            broker.enqueue(message.copy(queue_name="fallback"))


@pytest.mark.parametrize(("max_retries", "throws"), [(0, None), (3, ValueError), (1, None)])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_failed_message_that_a_middleware_sends_on_is_sent_on_however_it_ends(
    make_broker: Start, start_worker: Start, max_retries: int, throws: type[Exception] | None, is_first: bool
) -> None:
    broker = make_broker()
    broker.add_middleware(Fallback(), **({"before": Retries} if is_first else {}))
    broker.declare_queue("fallback")
    attempts = []

    @dramatiq.actor(max_retries=max_retries, throws=throws, min_backoff=1, max_backoff=1)
    def fail() -> None:
        attempts.append(None)
        raise ValueError

    start_worker(broker, queues={"default"})
    message = fail.send()
    broker.join("default", timeout=60_000)
    assert len(attempts) == (1 if throws else 1 + max_retries)
    assert [letter["id"] for letter in letters_of(broker)] == [message.message_id]
    assert broker.link.call("XLEN", broker.keys.lane("fallback", 5)) == len(attempts)
