"""A queue is what is in its lanes, in the delayed store, and in the waiting rooms of its subscriptions."""

from __future__ import annotations

import pytest
from dramatiq.errors import QueueJoinTimeout

from eventsys import EventService, EventStatus, SubscriptionState
from eventsys.store.scripts import script
from eventsys.testing import EventHarness, SessionRedis


@pytest.fixture
def service() -> EventService:
    return EventService(redis_url="redis://127.0.0.1:1/0", app="tests", announce=False)


@pytest.mark.redis62
def test_join_waits_for_what_a_limit_holds_back(service: EventService, harness_redis: SessionRedis) -> None:
    service.on("a.b", name="slow", queue="limited", rate="1/m")(lambda event: None)
    with EventHarness(service, redis=harness_redis) as harness:
        for _ in range(3):
            harness.publish("a.b", {})
        harness.run()
        assert service.subscriptions.get("slow").waiting == 2
        with pytest.raises(QueueJoinTimeout):
            service.broker.join("limited", timeout=50)
        service.broker.join("default", timeout=50)
        harness.advance(minutes=5)
        service.broker.join("limited", timeout=50)


@pytest.mark.redis62
def test_flush_ends_what_waits_in_a_room_and_leaves_the_limits_free(
    service: EventService, harness_redis: SessionRedis
) -> None:
    service.on("a.b", name="one", queue="limited", concurrency=1)(lambda event: None)
    with EventHarness(service, redis=harness_redis) as harness:
        service.subscriptions.pause("one")
        events = [harness.publish("a.b", {}) for _ in range(3)]
        harness.run()
        service.subscriptions.resume("one")
        # One of them is on the queue, and has the only slot.
        service.broker.link.run(
            script("release_waiting"), service.broker.keys.prefix, service.broker.clock.now_ms(), "one"
        )
        assert service.subscriptions.get("one").waiting == 2
        service.broker.flush("limited")
        assert [service.get_event(one.id).status for one in events] == [EventStatus.CANCELLED] * 3
        standing = service.subscriptions.get("one")
        assert (standing.state is SubscriptionState.RESUMING, standing.waiting, standing.let_in) == (False, 0, 0)
        service.broker.join("limited", timeout=50)
        after = harness.publish("a.b", {})
        harness.run()
        assert service.get_event(after.id).status is EventStatus.DELIVERED
        assert service.get_metrics().pending_events == 0
