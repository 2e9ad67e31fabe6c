"""What is asked for and cannot be: odd numbers, times and texts are refused, and never a fault of ours."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from eventsys import EventFilter, EventService
from tests.dashboard.browser import HTML
from tests.dashboard.conftest import JSON

#: More than a number of 64 bits, with which Redis counts.
FAR = 10**20

#: There is no such moment in UTC, where it would be in the year 0.
NO_MOMENT = "0001-01-01T00:00:00+14:00"


@pytest.mark.parametrize("place", ["/cron", "/types", "/subscriptions", "/api/v1/cron", "/api/v1/cron/t/history"])
def test_a_page_that_nobody_could_reach_is_empty(client: TestClient, events: EventService, place: str) -> None:
    events.cron.create("t", "@daily", "report.due")
    assert client.get(place, params={"page": FAR}, headers=HTML).status_code == 200


@pytest.mark.parametrize("place", ["/events", "/delayed", "/dead-letters"])
def test_a_search_from_a_time_that_there_is_not_says_so(client: TestClient, place: str) -> None:
    answer = client.get(place, params={"start_time": NO_MOMENT}, headers=HTML)
    assert "outside the years 1 to 9999 in UTC" in answer.text
    assert client.get(f"/api/v1{place}", params={"start_time": NO_MOMENT}).status_code == 422


def test_a_filter_from_a_time_that_there_is_not_cannot_be_made() -> None:
    with pytest.raises(ValidationError, match="outside the years 1 to 9999 in UTC"):
        EventFilter(start_time=NO_MOMENT)


def test_a_cloudevent_of_a_time_that_there_is_not_is_refused(client: TestClient) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/", "type": "a.b", "time": NO_MOMENT}
    kind = {"content-type": "application/cloudevents+json"}
    assert client.post("/api/v1/events", json=event, headers=kind).status_code == 422


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("delayed/cancel", b'{"ids": ["\\ud800"]}'),
        ("delayed/run", b'{"filter": {"correlation_id": "\\ud800"}}'),
        ("delayed/retries/cancel", b'{"event_id": "\\ud800", "subscription": "ship"}'),
        ("dead-letters/redrive", b'{"ids": ["\\ud800"]}'),
        ("dead-letters/purge", b'{"ids": ["\\ud800"], "dry_run": true}'),
    ],
)
def test_half_of_a_letter_is_refused(client: TestClient, place: str, body: bytes) -> None:
    answer = client.post(f"/api/v1/{place}", content=body, headers=JSON)
    assert answer.status_code in {404, 422}, answer.text
    assert "something went wrong" not in answer.text


def test_a_length_of_thousands_of_digits_is_too_large(client: TestClient) -> None:
    headers = {**JSON, "content-length": "9" * 5_000}
    assert client.post("/api/v1/events", content=b"{}", headers=headers).status_code == 413
