"""Steps of handlers that are not taken again once they were taken."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from eventsys import DeadLetterFilter, DeliveryStatus, Event, RedisUnavailableError
from eventsys.errors import InvalidDurationError
from eventsys.testing import EventHarness


def test_a_step_that_was_taken_is_not_taken_by_the_next_attempt(harness: EventHarness) -> None:
    charged: list[str] = []
    mailed: list[str] = []

    @harness.events.on("order.paid", name="charge", max_retries=3, retry_delay="1s")
    def handle(event: Event) -> None:
        with harness.events.once(event, "charge") as is_due:
            if is_due:
                charged.append(event.id)
        with harness.events.once(event, "mail") as is_due:
            if is_due:
                mailed.append(event.id)
        if len(mailed) == 1 and len(charged) == 1 and not handle.failed:
            handle.failed = True
            raise RuntimeError("after both")

    handle.failed = False
    event = harness.events.publish("order.paid", {})
    harness.advance(seconds=5)
    [delivery] = harness.events.get_event(event.id).deliveries
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 2)
    assert (charged, mailed) == ([event.id], [event.id])


def test_a_step_that_failed_is_taken_again(harness: EventHarness) -> None:
    tries: list[bool] = []

    @harness.events.on("order.paid", name="charge", retry_delay="1s")
    def handle(event: Event) -> None:
        with harness.events.once(event) as is_due:
            tries.append(is_due)
            if len(tries) == 1:
                raise RuntimeError("not charged")

    harness.events.publish("order.paid", {})
    harness.advance(seconds=5)
    assert tries == [True, True]


def test_two_subscriptions_and_two_events_know_nothing_of_each_other(harness: EventHarness) -> None:
    seen: list[tuple[str, bool]] = []

    def handler(name: str) -> Any:
        def handle(event: Event) -> None:
            with harness.events.once(event) as is_due:
                seen.append((name, is_due))

        return handle

    for name in ("left", "right"):
        harness.events.on("order.paid", name=name)(handler(name))
    harness.events.publish("order.paid", {})
    harness.events.publish("order.paid", {})
    harness.advance(seconds=1)
    assert sorted(seen) == [("left", True), ("left", True), ("right", True), ("right", True)]


def test_a_redrive_goes_on_where_it_stopped_and_a_replay_does_everything_again(harness: EventHarness) -> None:
    charges: list[bool] = []

    @harness.events.on("order.paid", name="charge", max_retries=0)
    def handle(event: Event) -> None:
        with harness.events.once(event, "charge") as is_due:
            charges.append(is_due)
        if len(charges) == 1:
            raise RuntimeError("after the charge")

    harness.events.publish("order.paid", {})
    harness.advance(seconds=1)
    harness.events.dead_letters.redrive_all(DeadLetterFilter(subscription="charge"))
    harness.advance(seconds=1)
    assert charges == [True, False]
    harness.events.replays.replay("charge")
    harness.advance(seconds=2)
    assert charges == [True, False, True]


def test_a_coroutine_uses_it_too(harness: EventHarness) -> None:
    steps: list[bool] = []

    @harness.events.on("order.paid", name="charge", retry_delay="1s")
    async def handle(event: Event) -> None:
        async with harness.events.once(event) as is_due:
            steps.append(is_due)
        if len(steps) == 1:
            raise RuntimeError("after the charge")

    harness.events.publish("order.paid", {})
    harness.advance(seconds=5)
    assert steps == [True, False]


def test_a_step_is_remembered_as_long_as_was_said(harness: EventHarness) -> None:
    event = harness.events.publish("order.paid", {})
    with harness.events.once(event, keep="1h") as is_due:
        assert is_due
    harness.advance(minutes=59)
    with harness.events.once(event) as is_due:
        assert not is_due
    harness.advance(minutes=2)
    with harness.events.once(event) as is_due:
        assert is_due


def test_a_step_is_not_begun_where_redis_cannot_say_whether_it_was_taken(harness: EventHarness) -> None:
    event = harness.events.publish("order.paid", {})
    there = harness.events.broker.link.lead_to("redis://127.0.0.1:1/0")
    with pytest.raises(RedisUnavailableError), harness.events.once(event):
        pytest.fail("begun")
    harness.events.broker.link.lead_to(there)


def test_that_a_step_was_taken_is_noted_when_redis_is_back(
    harness: EventHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = harness.events.publish("order.paid", {})
    link = harness.events.broker.link
    with harness.events.once(event) as is_due:
        assert is_due
        there = link.lead_to("redis://127.0.0.1:1/0")
        monkeypatch.setattr("eventsys.bus.once.time.sleep", lambda _: link.lead_to(there))
    monkeypatch.undo()
    with harness.events.once(event) as is_due:
        assert not is_due


def test_a_limit_that_is_over_while_the_note_waits_for_redis_strikes_when_it_is_made(
    harness: EventHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged: list[bool] = []
    link = harness.events.broker.link

    @harness.events.on("order.paid", name="charge", timeout="1s", retry_delay="1s")
    def handle(event: Event) -> None:
        with harness.events.once(event, "charge") as is_due:
            charged.append(is_due)
            if is_due:
                there, over_at = link.lead_to("redis://127.0.0.1:1/0"), time.monotonic() + 1.3
                monkeypatch.setattr("eventsys.bus.once.time.sleep", lambda _: come_back(there, over_at))
        if is_due:
            wait_until(time.monotonic() + 60)

    def come_back(there: str, over_at: float) -> None:
        monkeypatch.undo()
        try:
            wait_until(over_at)
        finally:
            link.lead_to(there)

    event = harness.events.publish("order.paid", {})
    harness.advance(seconds=5)
    [delivery] = harness.events.get_event(event.id).deliveries
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 2)
    assert charged == [True, False]


def wait_until(moment_s: float) -> None:
    """Wait as a handler does that can be interrupted."""
    while time.monotonic() < moment_s:
        threading.Event().wait(0.005)


@pytest.mark.parametrize("keep", [0, "0.5ms", 1e-7])
def test_a_step_that_would_be_forgotten_at_once_is_refused(harness: EventHarness, keep: Any) -> None:
    event = harness.events.publish("a.b")
    with pytest.raises(InvalidDurationError, match="keep"):
        harness.events.once(event, keep=keep)
