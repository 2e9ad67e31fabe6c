"""What a test sees under a harness is what happens in production, and nothing else."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest

from eventsys import Event, EventService, InlineHandlerError
from eventsys.testing import EventHarness

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


@pytest.fixture
def events(harness: EventHarness) -> EventService:
    return harness.events


def test_what_expired_did_not_succeed(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h", timeout=None)
    def handle(event: Event) -> None:
        harness.spend("10m")

    first, late = harness.publish("a.b", {}), harness.publish("a.b", {}, expire_after="1m")
    harness.run()
    assert [one.id for one in harness.delivered("h").events] == [first.id]
    assert [(one.event.id, one.outcome) for one in harness.attempts("h")] == [
        (first.id, "succeeded"),
        (late.id, "expired"),
    ]


def test_a_handler_within_publish_takes_as_long_as_it_takes(harness: EventHarness, events: EventService) -> None:
    """Nothing can end a plain function in the midst of its publisher's code."""

    @events.on("a.b", name="h", async_=False, timeout="30s")
    def handle(event: Event) -> None:
        harness.spend("31s")

    began = harness.now
    harness.publish("a.b", {})
    assert (harness.now - began).total_seconds() == 31
    assert len(harness.delivered("h")) == 1


def test_a_coroutine_within_publish_ends_at_its_limit(harness: EventHarness, events: EventService) -> None:
    @events.on("a.b", name="h", async_=False, timeout="30s")
    async def handle(event: Event) -> None:
        harness.spend("31s")

    with pytest.raises(InlineHandlerError, match="TimeLimitExceeded"):
        harness.publish("a.b", {})
    assert [one.reason for one in harness.dead_letters("h")] == ["timeout"]


@pytest.mark.parametrize("takes_event", [False, True])
def test_a_function_of_a_cron_task_can_be_asked_for(
    harness: EventHarness, events: EventService, takes_event: bool
) -> None:
    def nightly() -> None: ...

    def nightly_of(event: Event) -> None: ...

    function: Any = nightly_of if takes_event else nightly
    events.cron("30 2 * * *", name="nightly")(function)
    harness.advance("1d")
    assert len(harness.assert_delivered(function, times=1).events) == 1


def test_the_ticks_of_cron_tasks_are_nobody_elses_business(harness: EventHarness, events: EventService) -> None:
    runs: list[Event] = []
    events.cron("@hourly", name="hourly")(lambda event: runs.append(event))
    assert len(harness.advance("2h").events) == len(runs) == 2
    assert harness.pending() == []
    assert "eventsys.cron" not in harness.story()
    events.cron.run_later("hourly", delay="1m")
    assert [one.kind for one in harness.pending()] == ["delayed message"]
    harness.advance("1m")
    assert (len(runs), harness.pending()) == (3, [])


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}])
def test_a_handler_sees_nothing_of_the_context_that_published(
    harness: EventHarness, events: EventService, options: dict[str, Any]
) -> None:
    seen: list[str] = []

    @events.on("a.b", name="plain", **options)
    def plain(event: Any) -> None:
        seen.append(TENANT.get())
        TENANT.set("of the handler")

    @events.on("a.b", name="coroutine", **options)
    async def coroutine(event: Any) -> None:
        seen.append(TENANT.get())

    token = TENANT.set("acme")
    harness.publish("a.b", {})
    harness.run()
    assert seen == ["nobody", "nobody"]
    assert TENANT.get() == "acme"
    TENANT.reset(token)


def test_a_replay_that_a_handler_begins_goes_on_at_once(harness: EventHarness, events: EventService) -> None:
    events.on("a.b", name="new")(lambda event: None)

    @events.on("history.wanted", name="begin")
    def begin(event: Event) -> None:
        events.replays.replay("new")

    harness.publish("a.b", {})
    harness.schedule("history.wanted", {}, delay="65m")
    harness.advance("70m")
    assert len(harness.delivered("new")) == 2
