"""Circuit breakers: open after failures in a row, one delivery tries, closed when it succeeds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventFilter, EventService, EventStatus, Reject
from eventsys.model.subscription import SubscriptionState
from eventsys.store.keys import LOG_QUEUE
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]


class Provider:
    """Something that handlers call, and that may be down."""

    def __init__(self) -> None:
        self.is_down = True
        self.calls: list[str] = []

    def call(self, event: Event) -> None:
        self.calls.append(event.id)
        if self.is_down:
            raise ConnectionError("down")


@pytest.fixture
def provider() -> Provider:
    return Provider()


def _state(events: EventService) -> SubscriptionState:
    """Return it once the first round of a worker has said that it hosts it: until then nobody does."""
    return eventually(lambda: (standing := events.subscriptions.get("h")).hosts and standing).state


@pytest.mark.redis62
def test_a_breaker_opens_tries_with_one_and_closes(events: EventService, work: Work, provider: Provider) -> None:
    clock = events.broker.clock
    events.on("a.b", name="h", breaker=3, breaker_wait="1h", max_retries=0)(provider.call)
    clock.turn_to(clock.now_ms())
    work()
    failing = [events.publish("a.b", {}) for _ in range(3)]
    for event in failing:
        assert events.wait(event.id).status is EventStatus.FAILED
    assert _state(events) is SubscriptionState.OPEN
    waiting = [events.publish("a.b", {}) for _ in range(10)]
    eventually(lambda: events.subscriptions.get("h").waiting == 10)
    assert len(provider.calls) == 3

    clock.turn_to(clock.now_ms() + 3_600_000)  # the wait is over, and the provider is still down: one tries
    eventually(lambda: len(provider.calls) == 4)
    tried = provider.calls[3]  # usually the first: those dispatched while the breaker opened may change places
    assert events.wait(tried).status is EventStatus.FAILED
    assert _state(events) is SubscriptionState.OPEN
    assert events.subscriptions.get("h").waiting == 9

    provider.is_down = False
    clock.turn_to(clock.now_ms() + 3_600_000)
    for event in waiting:
        assert events.wait(event.id).status is (EventStatus.FAILED if event.id == tried else EventStatus.DELIVERED)
    assert eventually(lambda: _state(events) is SubscriptionState.ACTIVE)
    assert len(provider.calls) == 13


def test_an_open_breaker_whose_handler_no_worker_has_is_unhosted(
    services: Services, events: EventService, provider: Provider
) -> None:
    """It was shown as open, as if a delivery were to try soon, for as long as nobody deployed the handler."""
    events.on("a.b", name="h", breaker=1, breaker_wait="1h", max_retries=0)(provider.call)
    worker = services.work(events)
    events.wait(events.publish("a.b", {}).id, "60s")
    worker.stop()
    events.broker.presence.leave()
    standing = events.subscriptions.get("h")
    assert (standing.state, standing.subscription.state) == (SubscriptionState.UNHOSTED, SubscriptionState.OPEN)
    assert events.subscriptions.pause("h").state is SubscriptionState.PAUSED


@pytest.mark.usefixtures("rounds_by_hand")
def test_an_open_breaker_tries_though_a_worker_without_the_handler_turned_one_away(
    events: EventService, work: Work, provider: Provider
) -> None:
    """As in a deploy: a worker of the version before reads the queue, and notes that nobody there has the handler."""
    clock, keys = events.broker.clock, events.broker.keys
    events.on("a.b", name="h", breaker=1, breaker_wait="1h", max_retries=0)(provider.call)
    clock.turn_to(clock.now_ms())
    work()
    events.wait(events.publish("a.b", {}).id)
    waiting = events.publish("a.b", {})
    eventually(lambda: events.subscriptions.get("h").waiting == 1)
    events.broker.link.call("HSET", keys.gate("h"), "unhosted", 1)
    clock.turn_to(clock.now_ms() + 3_600_000)
    # It is looked at, and left for a process that hosts it.
    eventually(lambda: not events.broker.link.call("ZCARD", f"{keys.prefix}:releases"))

    provider.is_down = False
    events.bus.tending.make_round()
    assert events.wait(waiting.id).status is EventStatus.DELIVERED


@pytest.mark.usefixtures("rounds_by_hand")
def test_an_open_breaker_tries_in_time_though_the_clock_was_set_back(
    events: EventService, work: Work, provider: Provider
) -> None:
    """It stayed open for as long as the clock was set back, and its wait on top of that."""
    clock = events.broker.clock
    events.on("a.b", name="h", breaker=1, breaker_wait="1m", max_retries=0)(provider.call)
    clock.turn_to(clock.now_ms())
    work()
    events.wait(events.publish("a.b", {}).id)
    waiting = events.publish("a.b", {})
    eventually(lambda: events.subscriptions.get("h").waiting == 1)
    provider.is_down = False
    clock.turn_to(clock.now_ms() - 3_600_000)
    events.bus.tending.make_round()  # the wait begins anew, by the clock as it is now
    assert len(provider.calls) == 1
    clock.turn_to(clock.now_ms() + 60_000)
    events.bus.tending.make_round()
    assert events.wait(waiting.id).status is EventStatus.DELIVERED


def test_what_was_too_late_to_begin_says_nothing_of_the_health_of_a_subscription(
    services: Services, events: EventService, provider: Provider
) -> None:
    clock = events.broker.clock
    events.on("a.b", name="h", queue="unread", breaker=3, breaker_wait="1h", max_retries=0)(provider.call)
    clock.turn_to(clock.now_ms())
    services.work(events, queues={LOG_QUEUE})
    published = [events.publish("a.b", {}, expire_after=limit) for limit in (None, None, "1m", None)]
    for event in published:
        eventually(lambda event=event: events.get_event(event.id).deliveries)
    clock.turn_to(clock.now_ms() + 120_000)
    services.work(events, queues={"unread"}, threads=1)
    for event in published:
        events.wait(event.id)
    assert len(provider.calls) == 3
    assert _state(events) is SubscriptionState.OPEN


def test_an_open_breaker_is_a_warning_that_ends_when_it_closes(
    events: EventService, quick_work: Work, provider: Provider
) -> None:
    clock = events.broker.clock
    events.on("a.b", name="h", breaker=1, breaker_wait="1m", max_retries=0)(provider.call)
    clock.turn_to(clock.now_ms())
    quick_work()
    events.publish("a.b", {})
    warned = eventually(lambda: events.get_event_records(EventFilter(types=("system.warning",))).items)
    assert warned[0].payload["rule"] == "breaker"
    assert "1 attempts of h failed" in warned[0].payload["message"]
    provider.is_down = False
    clock.turn_to(clock.now_ms() + 60_000)
    eventually(lambda: _state(events) is SubscriptionState.ACTIVE)  # nothing waited: the next that comes may try
    event = events.publish("a.b", {})
    assert events.wait(event.id).status is EventStatus.DELIVERED
    page = eventually(lambda: (p := events.get_event_records(EventFilter(types=("system.warning",)))).total == 2 and p)
    assert page.items[0].payload["ended"] is True


def test_where_nothing_waited_the_next_failure_opens_it_again(
    events: EventService, quick_work: Work, provider: Provider
) -> None:
    clock = events.broker.clock
    events.on("a.b", name="h", breaker=5, breaker_wait="1m", max_retries=0)(provider.call)
    clock.turn_to(clock.now_ms())
    quick_work()
    for _ in range(5):
        events.wait(events.publish("a.b", {}).id)
    assert _state(events) is SubscriptionState.OPEN
    clock.turn_to(clock.now_ms() + 60_000)
    eventually(lambda: _state(events) is SubscriptionState.ACTIVE)
    events.wait(events.publish("a.b", {}).id)
    assert _state(events) is SubscriptionState.OPEN


def test_a_success_in_between_starts_the_count_anew(events: EventService, quick_work: Work, provider: Provider) -> None:
    events.on("a.b", name="h", breaker=3, max_retries=0)(provider.call)
    quick_work(threads=1)
    for is_down in (True, True, False, True, True):
        provider.is_down = is_down
        events.wait(events.publish("a.b", {}).id)
    assert _state(events) is not SubscriptionState.OPEN


def test_what_a_handler_asks_for_is_no_failure(events: EventService, quick_work: Work) -> None:
    @events.on("a.b", name="h", breaker=1)
    def handler(event: Event) -> None:
        raise Reject("not this one")

    quick_work()
    assert events.wait(events.publish("a.b", {}).id).status is EventStatus.FAILED
    assert _state(events) is not SubscriptionState.OPEN


def test_a_pause_outlasts_the_breaker(events: EventService, quick_work: Work, provider: Provider) -> None:
    clock = events.broker.clock
    events.on("a.b", name="h", breaker=1, breaker_wait="1m", max_retries=0)(provider.call)
    clock.turn_to(clock.now_ms())
    quick_work()
    events.wait(events.publish("a.b", {}).id)
    event = events.publish("a.b", {})
    eventually(lambda: events.subscriptions.get("h").waiting == 1)
    events.subscriptions.pause("h")
    provider.is_down = False
    clock.turn_to(clock.now_ms() + 600_000)
    eventually(lambda: events.broker.link.call("ZCARD", f"{events.broker.keys.prefix}:releases") == 0)
    assert len(provider.calls) == 1
    events.subscriptions.resume("h")
    assert events.wait(event.id).status is EventStatus.DELIVERED


def test_two_processes_count_the_failures_together(services: Services, provider: Provider) -> None:
    events, pause = services.make(), threading.Event()
    twin = services.make(name=events.settings.name)

    def call(event: Event) -> None:
        pause.wait(0.02)  # slower than any commit, so that few are begun before that of the fourth failure
        provider.call(event)

    for one in (events, twin):
        one.on("a.b", name="h", breaker=4, breaker_wait="1h", max_retries=0)(call)
        services.work(one, threads=1)
    published = events.publish_many([("a.b", {})] * 300)
    eventually(lambda: _state(events) is SubscriptionState.OPEN)
    eventually(lambda: events.subscriptions.get("h").waiting + len(provider.calls) == len(published))
    assert 4 <= len(provider.calls) < 100  # what was begun, or committed, when the fourth failure was
