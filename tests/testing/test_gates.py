"""Pauses, limits and breakers under a clock that the test turns."""

from __future__ import annotations

import itertools

from eventsys import Event, EventService, EventStatus, SubscriptionState
from eventsys.testing import EventHarness


def test_a_rate_a_pause_and_a_breaker_follow_the_turned_clock(redis_url: str) -> None:
    events = EventService(redis_url=redis_url, name="gates", app="tests")
    began, is_down = list[int](), [True]

    @events.on("a.b", name="limited", rate="1/m")
    def limited(event: Event) -> None:
        began.append(events.broker.clock.now_ms())

    @events.on("c.d", name="guarded", breaker=2, breaker_wait="1h", max_retries=0)
    def guarded(event: Event) -> None:
        if is_down[0]:
            raise ConnectionError("down")

    with EventHarness(events) as harness:
        for _ in range(5):
            harness.publish("a.b", {})
        harness.advance(minutes=2)
        assert len(began) == 3
        events.subscriptions.pause("limited")
        harness.advance(hours=1)
        assert len(began) == 3
        events.subscriptions.resume("limited")
        harness.advance(minutes=2)
        assert len(began) == 5
        assert all(later - earlier >= 59_900 for earlier, later in itertools.pairwise(began))
        for _ in range(4):
            harness.publish("c.d", {})
        harness.advance(minutes=1)
        standing = events.subscriptions.get("guarded")
        assert (standing.state, standing.waiting, standing.dead_letters) == (SubscriptionState.OPEN, 2, 2)
        is_down[0] = False
        harness.advance(hours=1)
        assert events.subscriptions.get("guarded").state is not SubscriptionState.OPEN
        assert events.subscriptions.get("guarded").backlog == 0


def test_a_pause_spares_what_a_rate_had_let_wait_before_it(redis_url: str) -> None:
    events = EventService(redis_url=redis_url, name="spared", app="tests")
    events.on("a.b", name="limited", rate="1/m")(lambda event: None)
    with EventHarness(events) as harness:
        made = [harness.publish("a.b", {}, expire_after="10m") for _ in range(4)]
        harness.run()
        events.subscriptions.pause("limited")
        harness.advance(hours=3)
        events.subscriptions.resume("limited")
        harness.advance(hours=1)
        assert [events.get_event(one.id).status for one in made] == [EventStatus.DELIVERED] * 4


def test_each_of_several_pauses_spares_what_waited_when_it_began(redis_url: str) -> None:
    events = EventService(redis_url=redis_url, name="twice", app="tests")
    events.on("a.b", name="limited", rate="1/h")(lambda event: None)
    with EventHarness(events) as harness:
        made = [harness.publish("a.b", {}, expire_after="10m") for _ in range(3)]
        harness.run()
        for _ in range(2):
            events.subscriptions.pause("limited")
            harness.advance(minutes=20)
            events.subscriptions.resume("limited")
            late = harness.publish("a.b", {}, expire_after="1m")
            harness.advance(minutes=5)
            # It came after the pause, and was too late before the next one: its limit counts.
            assert events.get_event(late.id).status is EventStatus.EXPIRED
        harness.advance(hours=3)
        assert [events.get_event(one.id).status for one in made] == [EventStatus.DELIVERED] * 3
