"""What the tests of cron tasks share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eventsys import EventService
from tests.cron.rig import Rig

#: A Wednesday.
START = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def rig(events: EventService) -> Rig:
    """A service at noon and 30 seconds, whose clock stands still unless the test turns it."""
    return Rig(events, START)
