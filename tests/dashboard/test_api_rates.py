"""Rates in requests: what the library takes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from eventsys import Event, EventService

API = "/api/v1"


def _handle(event: Event) -> None:
    """Do nothing."""


@pytest.fixture
def shop(events: EventService) -> EventService:
    """A service with a subscription and some history for it."""
    events.publish("order.paid", {})
    events.subscribe("order.*", _handle, name="ship")
    return events


@pytest.mark.parametrize(("rate", "a_second"), [("100/s", 100), ("30/m", 0.5), ("1/h", 1 / 3600), ("7", 7), (0.5, 0.5)])
def test_a_rate_is_given_as_in_python(client: TestClient, shop: EventService, rate: Any, a_second: float) -> None:
    wanted = {"subscription": "ship", "rate": rate}
    begun = client.post(f"{API}/replays", json=wanted)
    assert begun.status_code == 201, begun.text
    assert begun.json()["rate"] == pytest.approx(a_second)
    assert shop.replays.replay("ship", rate=rate).rate == pytest.approx(a_second)
    assert client.post(f"{API}/replays/count", json=wanted).status_code == 200
    assert client.post(f"{API}/dead-letters/redrive", json={"all": True, "rate": rate}).status_code == 200


@pytest.mark.parametrize("rate", [0, -1, "fast", "0/s", "", True, 2_000_000, "1000001/s", "100/d", "0.01/h", [1]])
def test_what_is_no_rate_is_refused(client: TestClient, shop: EventService, rate: Any) -> None:
    refused = client.post(f"{API}/replays", json={"subscription": "ship", "rate": rate})
    assert refused.status_code == 422, refused.text
    assert client.post(f"{API}/dead-letters/redrive", json={"all": True, "rate": rate}).status_code == 422
    assert shop.replays.list() == []
