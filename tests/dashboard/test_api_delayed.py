"""Many delayed events by HTTP: what is asked for is what is changed, or the request is refused."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from eventsys import EventService
from eventsys.model.queries import MOST_IDS
from tests.dashboard.browser import Browser

DELAYED = "/api/v1/delayed"


@pytest.mark.parametrize("verb", ["cancel", "run"])
@pytest.mark.parametrize(
    ("condition", "said"),
    [({"subscription": "mail"}, "leave subscription out"), ({"status": "failed"}, "leave status out")],
)
def test_a_condition_that_says_nothing_of_what_waits_changes_nothing(
    client: TestClient, events: EventService, verb: str, condition: dict[str, Any], said: str
) -> None:
    """Left out without a word it would mean everything."""
    events.schedule("order.due", {}, delay="1h")
    for more in ({}, {"dry_run": True}):
        answer = client.post(f"{DELAYED}/{verb}", json={"filter": condition, **more})
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True)
    assert events.delayed.get_pending_count() == 1


def test_a_list_of_what_waits_for_a_subscription_is_refused(client: TestClient, browser: Browser) -> None:
    answer = client.get(DELAYED, params={"subscription": "mail"})
    assert answer.status_code == 422
    assert "an event waits for no subscription in particular" in answer.json()["detail"]
    assert "an event waits for no subscription in particular" in browser.open("/delayed?subscription=mail").words


@pytest.mark.parametrize("verb", ["cancel", "run"])
def test_as_many_ids_as_a_filter_may_name_are_taken_and_more_refused(
    client: TestClient, events: EventService, verb: str
) -> None:
    ids = [events.schedule("order.due", {}, delay="1h").id, *(f"unknown-{number}" for number in range(MOST_IDS))]
    assert client.post(f"{DELAYED}/{verb}", json={"ids": ids}).status_code == 422
    assert client.post(f"{DELAYED}/{verb}", json={"ids": ids[:MOST_IDS]}).json()["changed"] == 1
