"""Handlers under a harness: their errors, their limits, and the death of their worker."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from eventsys import Event, EventService
from eventsys.testing import EventHarness


@pytest.fixture
def events(harness: EventHarness) -> EventService:
    return harness.events


def test_what_waits_is_found_by_its_type_its_subscription_and_its_handler(
    harness: EventHarness, events: EventService
) -> None:
    """A retry was found by its subscription alone, and an event by its type alone."""

    @events.on("mail.*", name="shop.mail", retry_delay="5m")
    def mail(event: Event) -> None:
        raise ValueError("no")

    events.on("mail.*", name="shop.audit", where={"payload.n": [2]})(lambda event: None)
    events.on("bill.*", name="shop.bill")(lambda event: None)

    def found(what: Any) -> list[str]:
        return [one.kind for one in harness.pending(what)]

    harness.publish("mail.requested", {"n": 1})
    harness.schedule("mail.late", {"n": 2}, delay="1h")
    assert found("mail.requested") == ["event"]
    assert found(mail) == found("shop.mail") == found("mail.*") == ["delayed event", "event"]
    assert found("shop.audit") == ["delayed event"]
    harness.run()
    assert found("mail.requested") == ["retry"]
    assert found(mail) == found("shop.mail") == found("mail.*") == ["retry", "delayed event"]
    assert found("shop.bill") == found("bill.*") == found("shop.*") == []


def test_an_event_waits_for_one_subscription_while_it_waits_for_the_retry_of_another(
    harness: EventHarness, events: EventService
) -> None:
    """It was left out once a retry waited, though another handler had not seen it."""

    @events.on("a.b", name="fails", retry_delay="5m")
    def fails(event: Event) -> None:
        raise ValueError("no")

    held = events.on("a.b", name="held")(lambda event: None)
    harness.publish("a.b", {})
    events.subscriptions.pause("held")
    harness.run()
    assert [(one.kind, one.subscriptions) for one in harness.pending("a.b")] == [
        ("retry", ("fails",)), ("event", ("held",))
    ]  # fmt: skip
    assert [one.kind for one in harness.pending(held)] == ["event"]
    events.subscriptions.resume("held")
    harness.run()
    assert [one.kind for one in harness.pending()] == ["retry"]


def test_coroutine_handlers_run_in_the_thread_of_the_test(harness: EventHarness, events: EventService) -> None:
    seen: list[Any] = []

    @events.on("a.b", name="h")
    async def handler(event: Event) -> None:
        await asyncio.to_thread(int)
        seen.append((threading.current_thread(), asyncio.get_running_loop()))
        await events.apublish("c.d", {})

    events.on("c.d", name="next")(lambda event: None)
    harness.publish("a.b", {})
    harness.publish("a.b", {})
    harness.run()
    assert {thread for thread, _ in seen} == {threading.current_thread()}
    assert len({id(loop) for _, loop in seen}) == 1
    assert len(harness.delivered("next")) == 2


def test_a_test_that_is_a_coroutine_may_turn_the_clock_too(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h")
    async def handler(event: Event) -> None:
        await asyncio.to_thread(int)

    async def story() -> None:
        await events.apublish("a.b", {})
        harness.run()

    asyncio.run(story())
    assert harness.delivered("h")


def test_a_coroutine_may_go_on_with_what_was_begun_before_it(harness: EventHarness, events: EventService) -> None:
    """A fixture's handlers had their loop in the thread of the test; ending that failed where another ran by then."""
    loops: list[asyncio.AbstractEventLoop] = []

    @events.on("a.b", name="h")
    async def handler(event: Event) -> None:
        loops.append(asyncio.get_running_loop())

    def happens() -> None:
        events.publish("a.b", {})
        harness.run()

    async def story() -> None:
        happens()

    happens()
    asyncio.run(story())
    happens()
    assert (len(harness.delivered("h")), len(set(loops))) == (3, 1)


def test_a_harness_may_be_closed_in_a_coroutine(harness: EventHarness, events: EventService) -> None:
    cancelled: list[asyncio.Task[Any]] = []

    @events.on("a.b", name="h")
    async def handler(event: Event) -> None:
        cancelled.append(asyncio.ensure_future(asyncio.Event().wait()))

    async def story() -> None:
        harness.close()

    harness.publish("a.b", {})
    harness.run()
    asyncio.run(story())
    assert [task.cancelled() for task in cancelled] == [True]


def test_a_handler_is_ended_at_its_limit(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h", timeout="20ms", max_retries=0)
    def handler(event: Event) -> None:
        while True:
            pass

    @events.on("a.b", name="co", timeout="20ms", max_retries=0)
    async def coroutine(event: Event) -> None:
        await asyncio.Event().wait()

    harness.publish("a.b", {})
    harness.run()
    assert {one.subscription: one.reason for one in harness.dead_letters()} == {"h": "timeout", "co": "timeout"}


def test_a_handler_spends_time_of_the_harness(harness: EventHarness, events: EventService) -> None:
    began = harness.now

    @events.on("a.b", name="quick", timeout="30s")
    def quick(event: Event) -> None:
        harness.spend("29s")

    @events.on("c.d", name="slow", timeout="30s", max_retries=0)
    async def slow(event: Event) -> None:
        harness.spend("31s")

    harness.publish("a.b", {})
    harness.run()
    assert harness.now == began + timedelta(seconds=29)
    harness.publish("c.d", {})
    harness.run()
    assert [one.reason for one in harness.dead_letters("slow")] == ["timeout"]
    assert harness.now == began + timedelta(seconds=59)


def test_errors_surface_where_they_are_asked_for(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h", max_retries=1, retry_delay="1h")
    def handler(event: Event) -> None:
        raise ValueError(event.payload["n"])

    for n in range(3):
        harness.publish("a.b", {"n": n})
    with pytest.raises(ValueError, match="0"):
        harness.run(raise_errors=True)
    assert len(harness.attempts("h")) == 1
    with pytest.raises(ValueError, match="1"):
        harness.run(raise_errors=True)
    assert [one.outcome for one in harness.run()] == ["failed"]
    harness.advance("1h")
    assert len(harness.dead_letters("h")) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, pytest.fail.Exception], ids=["ctrl-c", "pytest.fail"])
def test_what_is_no_exception_of_a_handler_surfaces_always(
    harness: EventHarness, events: EventService, error: type[BaseException]
) -> None:
    @events.on("a.b", name="h")
    def handler(event: Event) -> None:
        raise error("stop")

    harness.publish("a.b", {})
    with pytest.raises(error):
        harness.run()


def test_a_worker_that_dies_in_a_handler_loses_nothing(harness: EventHarness, events: EventService) -> None:
    seen: list[str] = []

    @events.on("a.b", name="h")
    def handler(event: Event) -> None:
        events.publish("c.d", {})
        seen.append(event.payload["name"])
        if seen.count("deadly") == 1 and event.payload["name"] == "deadly":
            harness.crash()

    events.on("c.d", name="next")(lambda event: None)
    for name in ("one", "deadly", "two"):
        harness.publish("a.b", {"name": name})
    harness.run()
    assert sorted(seen) == ["deadly", "deadly", "one", "two"]
    assert len(harness.delivered("h")) == len(harness.delivered("next")) == 3
    assert harness.pending() == []


def test_a_message_that_kills_every_worker_is_a_dead_letter(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h")
    def handler(event: Event) -> None:
        harness.crash()

    harness.publish("a.b", {})
    harness.run()
    assert [one.reason for one in harness.dead_letters("h")] == ["crash_loop"]


def test_a_handler_cannot_turn_the_clock(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h", max_retries=0)
    def handler(event: Event) -> None:
        harness.advance("1h")

    harness.publish("a.b", {})
    with pytest.raises(Exception, match="a handler cannot turn it"):
        harness.run(raise_errors=True)
