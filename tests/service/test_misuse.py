"""The usual mistakes of a first hour are refused where they are made, in a sentence that says what to write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from eventsys import (
    DeadLetterFilter,
    Event,
    EventFilter,
    EventService,
    InvalidEventError,
    InvalidScheduleError,
    SubscriptionError,
    from_cloudevent,
    to_cloudevent,
)
from eventsys.testing import EventHarness

Call = Callable[[EventService, Any], Any]


def test_a_decorator_without_its_parentheses_is_refused(events: EventService) -> None:
    """It would take the handler for the pattern, return another decorator, and subscribe nothing."""
    with pytest.raises(SubscriptionError, match=r"stands where the pattern belongs; .* @events.on\('user.login'\)"):

        @events.on  # type: ignore[arg-type]
        def handle(event: Event) -> None: ...


def test_a_cron_decorator_without_its_parentheses_is_refused(events: EventService) -> None:
    with pytest.raises(InvalidScheduleError, match="stands where the schedule belongs"):

        @events.cron  # type: ignore[arg-type]
        def tidy() -> None: ...


def yielding(event: Event) -> Iterator[int]:
    yield 1


async def yielding_later(event: Event) -> AsyncIterator[int]:
    yield 1


def yielding_alone() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize("handler", [yielding, yielding_later])
def test_a_handler_with_a_yield_is_refused(events: EventService, handler: Any) -> None:
    """Calling it runs nothing of it, so its deliveries would succeed undone."""
    with pytest.raises(SubscriptionError, match="has a yield in it, so calling it would run nothing of it"):
        events.on("a.b")(handler)


def test_a_recurring_function_with_a_yield_is_refused(events: EventService) -> None:
    with pytest.raises(SubscriptionError, match="has a yield in it"):
        events.cron("@hourly")(yielding_alone)


def test_a_coroutine_that_nobody_awaits_is_a_failure(harness: EventHarness) -> None:
    """A decorator of plain functions around a coroutine function makes one of those."""
    ran: list[str] = []

    async def run(event: Event) -> None:
        ran.append(event.id)

    harness.events.on("a.b", name="wrapped", max_retries=0)(lambda event: run(event))
    harness.publish("a.b")
    harness.run()
    [letter] = harness.dead_letters("wrapped")
    assert not ran
    assert letter.error is not None
    assert "returned a coroutine, which nobody runs" in letter.error


def test_a_coroutine_for_a_batch_that_nobody_awaits_is_a_failure_too(harness: EventHarness) -> None:
    ran: list[str] = []

    async def run(batch: list[Event]) -> None:
        ran.extend(event.id for event in batch)

    harness.events.on("a.b", name="wrapped", max_retries=0, batch_size=5)(lambda batch: run(batch))
    harness.publish("a.b")
    harness.publish("a.b")
    harness.run()
    assert not ran
    errors = [letter.error or "" for letter in harness.dead_letters("wrapped")]
    assert len(errors) == 2
    assert all("wrapped returned a coroutine, which nobody runs" in error for error in errors)


@pytest.mark.parametrize(
    "call",
    [
        lambda events, event: events.get_event(event),
        lambda events, event: events.cancel(event),
        lambda events, event: events.run_now(event),
        lambda events, event: events.reschedule(event, delay="1h"),
        lambda events, event: events.get_delayed_event(event),
    ],
)
def test_an_event_in_place_of_its_id_is_refused(harness: EventHarness, call: Call) -> None:
    event = harness.schedule("a.b", {}, delay="1h")
    with pytest.raises(TypeError, match=r"named by its id, which is text, not DelayedEvent.*: give its \.id"):
        call(harness.events, event)


def test_waiting_for_an_event_in_place_of_its_id_is_refused_at_once(events: EventService) -> None:
    event = Event(id="1", type="a.b", payload={}, time=datetime(2026, 11, 26, tzinfo=UTC))
    with pytest.raises(TypeError, match="not Event: give its"):
        events.wait(event)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda events, given: events.get_event_records(given), EventFilter),
        (lambda events, given: events.get_delayed_events(given), EventFilter),
        (lambda events, given: events.dead_letters.list(given), DeadLetterFilter),
    ],
)
def test_a_dictionary_in_place_of_a_filter_is_refused(harness: EventHarness, call: Call, kind: type) -> None:
    with pytest.raises(TypeError, match=rf"{kind.__name__}\(\.\.\.\) is wanted here, not dict"):
        call(harness.events, {"types": ["a.b"]})


def test_a_dictionary_in_place_of_options_is_refused(harness: EventHarness) -> None:
    with pytest.raises(TypeError, match=r"SubscriptionOptions\(\.\.\.\) is wanted here, not dict"):
        harness.events.subscribe("a.b", print, {"max_retries": 1})  # type: ignore[arg-type]


def test_a_cloudevent_that_tells_its_time_needs_no_other() -> None:
    event = Event(id="1", type="a.b", payload={}, time=datetime(2026, 11, 26, tzinfo=UTC))
    attributes = to_cloudevent(event)
    assert from_cloudevent(attributes) == event
    del attributes["time"]
    with pytest.raises(InvalidEventError, match="CloudEvent '1' tells no time; say with now="):
        from_cloudevent(attributes)
