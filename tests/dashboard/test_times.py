"""Times that are written into forms: UTC, unless an offset stands behind them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from eventsys import EventService
from tests.dashboard.browser import HTML, Browser


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2031-12-24T18:00", 18),
        ("2031-12-24T18:00+02:00", 16),
        ("2031-12-24T18:00-02:00", 20),
        ("2031-12-24T18:00Z", 18),
    ],
)
def test_a_time_with_an_offset_is_that_moment(browser: Browser, events: EventService, at: str, due: int) -> None:
    events.schedule("order.due", {}, delay="1h", id="one")
    assert browser.send("/delayed", "/one/reschedule", at=at, delay="").status_code == 303
    assert events.get_delayed_event("one").delay_until == datetime(2031, 12, 24, due, tzinfo=UTC)


@pytest.mark.parametrize(
    "start", ["2031-01-01T00:00", "2031-01-01T00:00Z", "2031-01-01T02:00+02:00", "2030-12-31T22:00-02:00"]
)
def test_a_search_takes_every_way_to_write_a_time(client: TestClient, events: EventService, start: str) -> None:
    for name, due in (
        ("before", datetime(2030, 12, 31, 23, 59, tzinfo=UTC)),
        ("after", datetime(2031, 1, 2, tzinfo=UTC)),
    ):
        events.schedule(f"order.{name}", {}, at=due)
    said = client.get("/delayed", params={"start_time": start}, headers=HTML).text
    assert ("order.after" in said, "order.before" in said) == (True, False)
