"""Who takes something back and loses the reply asks again, and hears what came of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventsys import AlreadyFiredError, Event, EventService, EventStatus, NotFoundError
from eventsys.model.status import DeliveryStatus
from eventsys.store.scripts import script
from eventsys.testing import EventHarness, SessionRedis
from tests.support.proxy import CuttingProxy


def _fail(event: Event) -> None:
    raise ValueError("no")


@pytest.fixture
def harness(harness_redis: SessionRedis) -> Iterator[EventHarness]:
    service = EventService(redis_url="redis://127.0.0.1:1/0", app="tests", announce=False)
    service.on("a.b", name="failing", retry_delay="1h")(_fail)
    with EventHarness(service, redis=harness_redis) as made:
        yield made


@pytest.fixture
def proxy(harness: EventHarness) -> Iterator[CuttingProxy]:
    """Loses replies on the way to the harness's Redis."""
    link = harness.events.broker.link
    for name in ("cancel_event", "cancel_delivery"):
        # A reply that says that the script is not there would be no loss.
        link.call("SCRIPT", "LOAD", script(name).text)
    before = link.lead_to("redis://127.0.0.1:1/0")
    made = CuttingProxy(str(before))
    link.lead_to(made.url)
    yield made
    link.lead_to(before)
    made.close()


@pytest.mark.redis62
def test_a_cancel_whose_reply_was_lost_says_that_it_is_cancelled(harness: EventHarness, proxy: CuttingProxy) -> None:
    events = harness.events
    waiting, undispatched = harness.schedule("c.d", {}, delay="1h"), harness.publish("c.d", {})
    for event in (waiting, undispatched):
        proxy.lose_replies(1)
        assert events.cancel(event.id).status is EventStatus.CANCELLED
    assert proxy.lost == 2
    harness.advance(seconds=1)
    with pytest.raises(NotFoundError):
        events.cancel(waiting.id)
    with pytest.raises(AlreadyFiredError):
        events.cancel(undispatched.id)
    assert events.get_metrics().cancelled_events == 2


@pytest.mark.redis62
def test_a_cancel_by_key_whose_reply_was_lost_says_what_it_cancelled(
    harness: EventHarness, proxy: CuttingProxy
) -> None:
    events = harness.events
    harness.schedule("c.d", {}, delay="1h", key="other")
    waiting = harness.schedule("c.d", {}, delay="1h", key="mine")
    proxy.lose_replies(1)
    cancelled = events.cancel(key="mine")
    assert (cancelled.id, cancelled.status, cancelled.key) == (waiting.id, EventStatus.CANCELLED, "mine")
    assert (proxy.lost, events.get_metrics().cancelled_events) == (1, 1)
    with pytest.raises(NotFoundError):  # at the same moment, and no reply was lost: somebody else's cancel
        events.cancel(key="mine")


@pytest.mark.redis62
def test_a_cancelled_delivery_whose_reply_was_lost_is_returned(harness: EventHarness, proxy: CuttingProxy) -> None:
    event = harness.publish("a.b", {})
    harness.run()
    proxy.lose_replies(1)
    cancelled = harness.events.delayed.cancel_delivery(event.id, "failing")
    assert (cancelled.status, proxy.lost) == (DeliveryStatus.CANCELLED, 1)
    assert harness.events.get_metrics(by="subscription")["failing"].cancelled == 1


@pytest.mark.redis62
def test_a_second_cancel_at_the_same_moment_has_nothing_left_to_take_back(harness: EventHarness) -> None:
    """No reply was lost, so what was done at this moment was done by somebody else."""
    events = harness.events
    waiting, undispatched = harness.schedule("c.d", {}, delay="1h"), harness.publish("c.d", {})
    failed = harness.publish("a.b", {})
    events.cancel(waiting.id)
    events.cancel(undispatched.id)
    with pytest.raises(NotFoundError):
        events.cancel(waiting.id)
    with pytest.raises(AlreadyFiredError):
        events.cancel(undispatched.id)
    harness.run()
    events.delayed.cancel_delivery(failed.id, "failing")
    with pytest.raises(AlreadyFiredError):
        events.delayed.cancel_delivery(failed.id, "failing")
