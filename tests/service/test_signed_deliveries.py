"""A delivery of a signed event is judged by the handler that is to run it, though another one was there at first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dramatiq.errors import ActorNotFound

from eventsys import DeadLetter, DeadLetterFilter, Event, EventService
from eventsys.broker.batch import Batch
from eventsys.broker.batch_processing import process_batch
from eventsys.broker.loop_runner import LoopRunner
from eventsys.broker.processing import process
from tests.support.entries import add_entry
from tests.support.fixtures import SEALED
from tests.support.waiting import eventually

#: What one of the ways to handle deliveries needs: the service, and those that were fetched.
Handle = Callable[[EventService, list[Any]], None]


@pytest.fixture
def sealing() -> dict[str, str]:
    return SEALED


def _one_by_one(events: EventService, messages: list[Any]) -> None:
    for message in messages:
        process(events.broker, message)


def _together(events: EventService, messages: list[Any]) -> None:
    process_batch(events.broker, Batch(messages))


def _on_loop(events: EventService, messages: list[Any]) -> None:
    runner = LoopRunner(events.broker, 4, lambda passed: _one_by_one(events, list(passed)))
    runner.put(messages)
    eventually(lambda: events.broker.work.in_flight.held("tests") == 0)
    assert runner.stop(60)


def _add(events: EventService) -> str:
    """Put a signed event of the type `a.b` on the queue of the handler `h`, and return its id."""
    drafted, seal = events.bus.drafter.draft("a.b", {}), events.broker.work.seal
    assert seal is not None
    envelope = seal.signed("event", drafted.envelope)
    add_entry(events.broker, events.broker.keys.lane("tests", 5), "s", "h", "e", envelope)
    return drafted.event.id


def _refused(events: EventService, count: int) -> list[DeadLetter]:
    """Return the letters of what was refused, when there are so many."""

    def all_of_them() -> list[DeadLetter]:
        found = events.dead_letters.list(DeadLetterFilter(reason="bad_signature")).items
        return found if len(found) == count else []

    return eventually(all_of_them)


@pytest.mark.parametrize("handle", [_one_by_one, _together, _on_loop])
@pytest.mark.parametrize("pattern", ["c.d", "a.*"])
def test_a_handler_loaded_again_gets_what_it_wants_of_what_waited(
    events: EventService, handle: Handle, pattern: str
) -> None:
    got: list[str] = []

    def declare(pattern: str, name: str) -> None:
        async def on_loop(event: Event) -> None:
            got.append(event.id)

        if handle is _on_loop:
            events.on(pattern, name=name)(on_loop)
        elif handle is _together:
            events.on(pattern, name=name, batch_size=2)(lambda many: got.extend(one.id for one in many))
        else:
            events.on(pattern, name=name)(lambda event: got.append(event.id))

    declare("a.b", "h")
    declare(pattern, "loaded-again")
    events.bus.prepare()
    ids = [_add(events), _add(events)]
    consumer = events.broker.consume("tests", prefetch=64, timeout=0)
    messages = [*consumer.take_all(), *consumer.take_all()]
    assert len(messages) == 2
    events.broker.actors["h"] = events.broker.actors["loaded-again"]
    handle(events, messages)
    if pattern == "a.*":
        assert got == ids
        return
    letters = _refused(events, 2)
    assert got == []
    assert {one.error for one in letters} == {"loaded-again subscribes to 'c.d', and got an event of type 'a.b'"}
    assert all(one.can_be_redriven for one in letters)
    eventually(lambda: len(events.broker.work.in_flight) == 0)  # Redis has them before its answer is read


def test_no_attempt_begins_for_a_handler_loaded_again_that_does_not_want_it(events: EventService) -> None:
    """The worker of Dramatiq looks for the actor by itself, behind the hooks before the handler."""
    events.on("a.b", name="h")(lambda event: None)
    events.on("c.d", name="loaded-again")(lambda event: None)
    events.bus.prepare()
    _add(events)
    [message] = events.broker.consume("tests", prefetch=64, timeout=0).take_all()
    events.broker.actors["h"] = events.broker.actors["loaded-again"]
    with pytest.raises(ActorNotFound):
        events.broker.emit_before("process_message", message)
