"""A history made by hand."""

from __future__ import annotations

import pytest

from eventsys import EventService
from tests.support.histories import Historian


@pytest.fixture
def historian(events: EventService) -> Historian:
    """Store, dispatch and end events on the bus of `events`."""
    return Historian(events)
