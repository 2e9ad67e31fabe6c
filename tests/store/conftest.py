"""A history made by hand."""

from __future__ import annotations

import pytest

from eventsys import EventService
from tests.store.commit_bench import Bench
from tests.support.histories import Historian


@pytest.fixture
def historian(events: EventService) -> Historian:
    """Store, dispatch and end events on the bus of `events`."""
    return Historian(events)


@pytest.fixture
def bench(historian: Historian) -> Bench:
    """Deliver events to three subscriptions on two queues, and commit their ends."""
    return Bench(historian)
