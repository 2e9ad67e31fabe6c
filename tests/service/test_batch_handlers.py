"""Which handlers may take batches, where each is one event, and who else hears of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import dramatiq
import pytest

from eventsys import BatchError, Event, EventService, EventStatus, SubscriptionError, SubscriptionOptions
from eventsys.testing import EventHarness
from tests.support.fixtures import plain_and_sealed
from tests.support.waiting import eventually

Work = Callable[..., Any]

pytestmark = plain_and_sealed()


class Seen(dramatiq.Middleware):
    """What middleware of an application hears of the subscription `many`."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def before_process_message(self, broker: Any, message: Any) -> None:
        if message.actor_name == "many":
            self._note("before", message, len(message.args[0]))

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        if message.actor_name == "many":
            self._note("after", message, type(exception).__name__)

    def after_batched_failure(self, broker: Any, message: Any, *, exception: Any) -> None:
        self._note("failure", message, str(exception))

    def after_ack(self, broker: Any, message: Any) -> None:
        if message.actor_name == "many":
            self._note("ack", message)

    def after_nack(self, broker: Any, message: Any) -> None:
        self._note("nack", message)

    def _note(self, what: str, message: Any, *more: Any) -> None:
        self.heard.append((what, message.message_id.partition(":")[2], *more))


def takes_one(event: Event) -> None:
    """Handle one."""


def takes_dictionaries(events: list[dict[str, Any]]) -> None:
    """Handle what is no event."""


def takes_list(events: list[Event]) -> None:
    """Handle many."""


def takes_sequence(events: Sequence[Event]) -> None:
    """Handle many."""


def takes_anything(events):  # type: ignore[no-untyped-def]
    """Handle whatever there is."""


@pytest.mark.parametrize(
    ("handler", "size", "taught"),
    [
        (takes_one, 5, "batch_size gives it a list: annotate its argument as list[Event]"),
        (takes_dictionaries, 5, "annotate its argument as list[Event] or list[Event[YourModel]]"),
        (takes_list, None, "gets one event: give batch_size"),
        (takes_sequence, None, "gets one event: give batch_size"),
        (lambda: None, 5, "must take one argument, the list of events: def handler(events: list[Event])"),
    ],
)
def test_a_handler_of_the_other_kind_is_refused_when_it_is_declared(
    events: EventService, handler: Any, size: int | None, taught: str
) -> None:
    with pytest.raises(SubscriptionError, match=re.escape(taught)):
        events.on("a.b", name="h", batch_size=size)(handler)
    assert "h" not in events.broker.actors


@pytest.mark.parametrize("handler", [takes_list, takes_sequence, takes_anything])
def test_a_list_a_sequence_and_no_annotation_are_batches(events: EventService, handler: Any) -> None:
    assert events.on("a.b", name="h", batch_size=5)(handler) is handler


def test_every_worker_calls_a_batch_handler_and_takes_its_batch_errors(events: EventService, work: Work) -> None:
    tries: dict[int, int] = {}

    @events.on("a.*", name="many", batch_size=10, batch_wait="20ms", retry_delay="10ms")
    def many(batch: list[Event]) -> None:
        for event in batch:
            tries[event.payload["n"]] = tries.get(event.payload["n"], 0) + 1
        raise BatchError(
            {one.id: ValueError("odd") for one in batch if one.payload["n"] % 2 and tries[one.payload["n"]] == 1}
        )

    work()
    made = events.publish_many([("a.b", {"n": n}) for n in range(6)])
    assert {events.wait(one.id).status for one in made} == {EventStatus.DELIVERED}
    assert tries == {0: 1, 1: 2, 2: 1, 3: 2, 4: 1, 5: 2}


def test_a_batch_handler_subscribed_at_run_time_gets_batches(events: EventService) -> None:
    sizes: list[int] = []
    events.subscribe(
        "a.*", lambda batch: sizes.append(len(batch)), SubscriptionOptions(batch_size=4, batch_wait="1m"), name="many"
    )
    events.start()
    events.publish_many([("a.b", {})] * 4)
    # Without a dispatcher of its own this process has none: run one beside.
    worker = dramatiq.Worker(events.broker, queues={"eventsys.log"}, worker_threads=1, worker_timeout=100)
    worker.start()
    eventually(lambda: sizes)
    worker.stop()
    assert sizes == [4]


def test_middleware_sees_one_message_a_call_and_the_end_of_each_delivery(
    redis_url: str, sealing: dict[str, str]
) -> None:
    seen = Seen()
    events = EventService(redis_url=redis_url, app="tests", name="seen", middleware=[seen], **sealing)

    @events.on("a.*", name="many", batch_size=10, max_retries=0)
    def many(batch: list[Event]) -> None:
        raise BatchError({batch[1].id: ValueError("no")})

    with EventHarness(events) as harness:
        for _ in range(3):
            harness.publish("a.b", {})
        harness.run(raise_errors=False)
    heard = seen.heard
    assert heard[:3] == [("before", "many+2", 3), ("after", "many+2", "BatchError"), ("failure", "many", "no")]
    assert sorted(heard[3:]) == [("ack", "many"), ("ack", "many"), ("nack", "many")]
