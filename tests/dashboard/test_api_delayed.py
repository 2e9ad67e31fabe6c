"""Many delayed events by HTTP: what is asked for is what is changed, or the request is refused."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from eventsys import EventService
from eventsys.model.queries import MOST_IDS

DELAYED = "/api/v1/delayed"


@pytest.mark.parametrize("verb", ["cancel", "run"])
def test_as_many_ids_as_a_filter_may_name_are_taken_and_more_refused(
    client: TestClient, events: EventService, verb: str
) -> None:
    ids = [events.schedule("order.due", {}, delay="1h").id, *(f"unknown-{number}" for number in range(MOST_IDS))]
    assert client.post(f"{DELAYED}/{verb}", json={"ids": ids}).status_code == 422
    assert client.post(f"{DELAYED}/{verb}", json={"ids": ids[:MOST_IDS]}).json()["changed"] == 1
