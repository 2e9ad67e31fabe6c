"""The broker's fixtures for what works beside it, the time, a poller by hand, and a delivery that waits."""

from __future__ import annotations

from datetime import datetime

import pytest

from eventsys import Retry
from eventsys.clock import to_ms
from eventsys.scheduling.poller import Poller
from tests.broker.conftest import broker, make_broker, start_worker
from tests.support.waiting import eventually

__all__ = ["broker", "make_broker", "start_worker"]


@pytest.fixture
def now(events) -> datetime:
    return events.broker.clock.now()


@pytest.fixture
def poller(events):
    """Take the poller's step by hand, at whatever time the test says."""
    made = Poller(events.broker.link, events.broker.keys, events.broker.clock, process="by-hand", batch_size=7)

    def let_go(at: datetime) -> int:
        return made.let_go(to_ms(at)).moved

    yield let_go
    made.stop()


@pytest.fixture
def work_once_failing(events, quick_work):
    """Publish an event whose only delivery, to `fails`, has failed once and waits an hour for its next attempt."""

    def publish(**fields):
        @events.on("order.placed", name="fails")
        def fails(event) -> None:
            raise Retry("not now", delay="1h")

        quick_work()
        event = events.publish("order.placed", {}, **fields)
        eventually(lambda: events.delayed.get_waiting_retries().items)
        return event

    return publish
