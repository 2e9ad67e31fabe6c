"""Events by HTTP: published in every form, listed by every condition, shown, traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field
from starlette.testclient import TestClient

from eventsys import Event, EventFilter, EventRecord, EventService, Page, Trace
from tests.dashboard.conftest import JSON

API = "/api/v1"
CLOUDEVENT = {"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "order.paid", "data": {"amount": 7}}
CLOUD = {"content-type": "application/cloudevents+json"}


def test_plain_json_is_published(client: TestClient, events: EventService) -> None:
    answer = client.post(
        f"{API}/events", json={"type": "order.paid", "payload": {"amount": 7}, "source": "shop", "priority": 8}
    )
    assert answer.status_code == 201
    event = Event[dict[str, Any]].model_validate(answer.json())
    stored = events.get_event(event.id)
    assert (stored.type, stored.payload, stored.source, int(stored.priority)) == (
        "order.paid",
        {"amount": 7},
        "shop",
        8,
    )
    assert answer.headers["location"] == f"events/{event.id}"


def test_a_structured_cloudevent_is_published(client: TestClient, events: EventService) -> None:
    answer = client.post(f"{API}/events", json=CLOUDEVENT, headers={"content-type": "application/cloudevents+json"})
    assert answer.status_code == 201
    assert events.get_event("c-1").payload == {"amount": 7}
    assert events.get_event("c-1").source == "/shop"


def test_a_binary_cloudevent_is_published(client: TestClient, events: EventService) -> None:
    headers = {
        "ce-specversion": "1.0", "ce-id": "c-2", "ce-source": "/shop", "ce-type": "order.paid", "ce-priority": "8",
        "ce-subject": "caf%C3%A9",
    }  # fmt: skip
    answer = client.post(f"{API}/events", json={"amount": 9}, headers=headers)
    assert answer.status_code == 201, answer.text
    stored = events.get_event("c-2")
    assert (stored.payload, stored.headers, int(stored.priority)) == ({"amount": 9}, {"subject": "café"}, 8)


def test_a_batch_is_published_together_or_not_at_all(client: TestClient, events: EventService) -> None:
    headers = {"content-type": "application/cloudevents-batch+json"}
    batch = [{**CLOUDEVENT, "id": f"b-{number}"} for number in range(3)]
    answer = client.post(f"{API}/events", json=batch, headers=headers)
    assert answer.status_code == 201
    assert [one["id"] for one in answer.json()] == ["b-0", "b-1", "b-2"]
    spoilt = [{**CLOUDEVENT, "id": "b-8"}, {**CLOUDEVENT, "id": "b-9", "type": "Not A Type"}]
    assert client.post(f"{API}/events", json=spoilt, headers=headers).status_code == 422
    assert events.get_event_records(EventFilter(types=("order.paid",))).total == 3


@pytest.mark.parametrize("kind", ["application/json", "application/cloudevents+json"])
def test_an_idempotency_key_publishes_once(client: TestClient, events: EventService, kind: str) -> None:
    bodies = [
        {**CLOUDEVENT, "id": f"k-{number}"} if "cloud" in kind else {"type": "order.paid", "id": f"k-{number}"}
        for number in range(2)
    ]
    headers = {"content-type": kind, "idempotency-key": "once"}
    answers = [client.post(f"{API}/events", json=body, headers=headers) for body in bodies]
    assert [one.status_code for one in answers] == [201, 200]
    assert [one.json()["id"] for one in answers] == ["k-0", "k-0"]
    assert events.get_event_records(EventFilter(types=("order.paid",))).total == 1


def test_the_same_id_with_other_content_is_a_conflict(client: TestClient) -> None:
    first = client.post(f"{API}/events", json={"type": "order.paid", "id": "x", "payload": {"amount": 1}})
    second = client.post(f"{API}/events", json={"type": "order.paid", "id": "x", "payload": {"amount": 2}})
    assert (first.status_code, second.status_code) == (201, 409)
    assert second.headers["content-type"] == "application/problem+json"
    assert second.json()["error"] == "EventConflictError"
    assert second.json()["event_id"] == "x"


def test_a_batch_of_which_one_id_is_taken_tells_what_was_stored(client: TestClient, events: EventService) -> None:
    events.publish("order.paid", {"amount": 1}, id="taken")
    batch = [{**CLOUDEVENT, "id": "fine"}, {**CLOUDEVENT, "id": "taken", "data": {"amount": 2}}]
    headers = {"content-type": "application/cloudevents-batch+json"}
    answer = client.post(f"{API}/events", json=batch, headers=headers)
    assert answer.status_code == 409, answer.text
    assert answer.json()["error"] == "PartialPublishError"
    assert (answer.json()["published"], answer.json()["refused"]) == (["fine"], ["taken"])
    assert events.get_event_records(EventFilter(types=("order.paid",))).total == 2


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 422),
        (b"[]", JSON, 422),
        (b'{"type": "Not A Type"}', JSON, 422),
        (b'{"type": "order.paid", "payload": []}', JSON, 422),
        (b'{"type": "order.paid", "unknown": 1}', JSON, 422),
        (b'{"type": "order.paid", "idempotency_key": "a"}', {**JSON, "idempotency-key": "b"}, 422),
        (b'{"type": "order.paid"}', {**JSON, "idempotency-key": "k" * 513}, 422),
        (b'{"type": "order.paid", "source": "%s"}' % (b"s" * 513), JSON, 422),
        (b'{"type": "order.paid", "headers": {"a": "%s"}}' % (b"v" * 8_193), JSON, 422),
        (b'{"specversion": "1.0", "id": "1", "source": "%s", "type": "a.b"}' % (b"s" * 513), CLOUD, 422),
        (b'{"specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "%s": "a"}' % (b"n" * 129), CLOUD, 422),
        (b"{}", {**JSON, "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s" * 513, "ce-type": "a.b"}, 422),
        (b"{}", CLOUD, 422),
        (b"{}", {"content-type": "application/cloudevents-batch+json"}, 422),
        (b"[1]", {"content-type": "application/cloudevents-batch+json"}, 422),
        (b"[" * 100_000, {"content-type": "application/cloudevents-batch+json"}, 422),
        (b"{}", {**JSON, "ce-specversion": "1.0"}, 422),
        (b"<x/>", {"content-type": "application/xml"}, 415),
        (b'{"type": "user.login", "payload": {"user_id": []}}', JSON, 422),
    ],
)
def test_what_is_no_event_is_refused_with_a_sentence(
    client: TestClient, events: EventService, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = client.post(f"{API}/events", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status
    assert answer.json()["detail"]
    assert events.get_metrics().total_events == 0


def test_a_list_is_what_the_service_answers(client: TestClient, events: EventService) -> None:
    for number in range(5):
        events.publish("order.paid" if number % 2 else "order.sent", {"n": number}, source="shop")
    answer = client.get(f"{API}/events", params={"types": ["order.paid", "x.*"], "page_size": 1, "order": "oldest"})
    page = Page[EventRecord[dict[str, Any]]].model_validate(answer.json() | {"pages": 2})
    assert page == events.get_event_records(EventFilter(types=("order.paid", "x.*"), page_size=1, order="oldest"))
    assert [one.payload["n"] for one in page.items] == [1]
    following = client.get(
        f"{API}/events",
        params={"types": ["order.paid", "x.*"], "page_size": 1, "order": "oldest", "cursor": page.next_cursor},
    )
    assert [one["payload"]["n"] for one in following.json()["items"]] == [3]


def test_every_condition_of_the_filter_can_be_asked_for(client: TestClient, events: EventService) -> None:
    event = events.publish("order.paid", {"note": "needle"}, source="shop", priority=8, correlation_id="chain-1")
    events.publish("order.sent", {"note": "hay"}, source="depot")
    asked: dict[str, Any] = {
        "types": "order.*", "sources": "shop", "status": "pending", "priority": 8, "correlation_id": "chain-1",
        "text": "needle", "start_time": "2020-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z",
    }  # fmt: skip
    for given in ({name: value} for name, value in asked.items() if name not in {"types", "status", "start_time"}):
        if "end_time" not in given:
            found = client.get(f"{API}/events", params=given).json()["items"]
            assert [one["id"] for one in found] == [event.id], given
    assert [one["id"] for one in client.get(f"{API}/events", params=asked).json()["items"]] == [event.id]
    assert client.get(f"{API}/events", params={"subscription": "nobody"}).json()["items"] == []
    assert client.get(f"{API}/events", params={"end_time": "2020-01-01T00:00:00Z"}).json()["items"] == []


@pytest.mark.parametrize(
    "params",
    [{"page_size": 10**9}, {"page_size": 0}, {"page": 0}, {"types": "Not A Type"}, {"unknown": "1"}, {"status": "x"},
     {"cursor": "nonsense"}, {"start_time": "2026-01-02T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"}],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(client: TestClient, params: dict[str, Any]) -> None:
    answer = client.get(f"{API}/events", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_pattern_that_cannot_be_is_refused_in_our_words_alone(client: TestClient) -> None:
    answer = client.get("/api/v1/events", params={"types": "User.*"})
    assert answer.json()["detail"].startswith(
        "the request does not fit: query.types.0: pattern 'User.*' has the segment"
    )


def test_an_event_is_shown_with_its_deliveries(
    client: TestClient, events: EventService, quick_work: Callable[..., Any]
) -> None:
    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    event = events.publish("order.paid", {"amount": 7}, id="order/42?#")
    events.wait(event.id)
    shown = client.get(f"{API}/events/order%2F42%3F%23")
    record = EventRecord[dict[str, Any]].model_validate(shown.json())
    assert record.status == "failed"
    assert record.deliveries[0].subscription == "ship"
    assert "no stock" in (record.deliveries[0].traceback or "")


def test_a_chain_is_traced(client: TestClient, events: EventService) -> None:
    event = events.publish("order.paid", {}, correlation_id="chain-1")
    trace = Trace.model_validate(client.get(f"{API}/events/{event.id}/trace").json())
    assert [node.event.id for node in trace.nodes] == [event.id]
    assert client.get(f"{API}/events/chain-1/trace").json()["correlation_id"] == "chain-1"


def test_an_address_that_is_none_tells_where_to_look(client: TestClient) -> None:
    for answer, status in ((client.get("/api/v1/nothing"), 404), (client.put(f"{API}/events", headers=JSON), 405)):
        assert answer.status_code == status
        assert "/api/v1/openapi.json" in answer.json()["detail"]


def test_what_is_not_there_is_told_as_a_problem(client: TestClient) -> None:
    for path in ("events/x", "events/x/trace", "delayed/x", "dead-letters/x", "cron/x", "cron/x/history",
                 "subscriptions/x", "replays/x"):  # fmt: skip
        answer = client.get(f"{API}/{path}")
        assert answer.status_code == 404, path
        assert answer.json()["error"] == "NotFoundError"
        assert answer.json()["title"] == "Not Found"


def test_a_publish_is_on_record_with_who_did_it(
    client: TestClient, changes: Callable[[], list[dict[str, Any]]]
) -> None:
    client.post(f"{API}/events", json={"type": "order.paid", "payload": {"secret": "tr0ub4dor"}})
    [change] = changes()
    assert change["who"] == "operator local@127.0.0.1"
    assert (change["action"], change["target"]) == ("events.publish", "order.paid")
    assert "tr0ub4dor" not in str(change)


def test_redis_away_is_told_and_may_be_tried_again() -> None:
    from eventsys.dashboard import dashboard
    from tests.dashboard.conftest import client_of

    away = client_of(dashboard(EventService(redis_url="redis://127.0.0.1:1/0", name="away")))
    answer = away.post(f"{API}/events", json={"type": "order.paid"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["error"] == "RedisUnavailableError"


class _Payment(BaseModel):
    card: str = Field(json_schema_extra={"secret": True})


def test_secret_fields_are_masked_wherever_an_event_is_shown(client: TestClient, events: EventService) -> None:
    events.type("payment.made", _Payment)
    event = events.publish("payment.made", _Payment(card="4111"))
    events.schedule("payment.made", _Payment(card="4111"), delay="1h")
    for path in (f"events/{event.id}", "events", "delayed", f"events/{event.id}/trace"):
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 200
        assert "4111" not in answer.text
    assert client.get(f"/api/v1/events/{event.id}").json()["payload"] == {"card": "**********"}
