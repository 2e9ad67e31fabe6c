"""What the application asks to be called may raise anything, and the threads that call it go on."""

from __future__ import annotations

import sys
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import TimeLimitExceeded

from eventsys import Event, EventConflictError, EventService
from eventsys.broker.callbacks import call_back
from tests.support.services import Services


def leave(*_: Any) -> None:
    sys.exit(1)


def test_an_exit_from_on_publish_error_keeps_nothing_from_being_sent(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    events = services.make(on_publish_error=leave)
    events.publish("a.b", {"n": 0}, id="taken")
    with pytest.raises(EventConflictError):
        events.publish_async("a.b", {"n": 1}, id="taken").result(timeout=60)
    assert events.publish_async("a.b", {"n": 2}).result(timeout=60).payload == {"n": 2}
    assert "on_publish_error failed; what it raises ends neither this thread nor the process" in caplog.text


def test_an_exit_from_what_waits_for_a_receipt_keeps_nobody_else_waiting(events: EventService) -> None:
    told: list[str] = []
    with events.bus.publisher.buffer._changed:  # the flusher cannot begin
        first, second = events.publish_async("a.b"), events.publish_async("a.b")
        first.when_done(leave)
        first.when_done(lambda receipt: told.append(receipt.event.id))
    second.result(timeout=60)
    assert told == [first.event.id]
    assert events.publish_async("a.b").result(timeout=60).type == "a.b"


class Leaving(dramatiq.Middleware):
    """Leaves as soon as it hears of a message that is committed."""

    after_ack = leave


def test_an_exit_after_a_commit_keeps_nothing_from_being_committed(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    events = services.make(middleware=[Leaving()])

    @events.on("a.b", name="first")
    def handle(event: Event) -> None:
        """Take it."""

    services.work(events)
    for _ in range(2):
        assert events.wait(events.publish("a.b").id, timeout=60).status == "delivered"
    assert "a callback after a commit failed" in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeLimitExceeded])
def test_what_comes_from_outside_while_something_is_called_back_goes_on(kind: type[BaseException]) -> None:
    def struck() -> None:
        raise kind

    with pytest.raises(kind):
        call_back(struck, "something")
