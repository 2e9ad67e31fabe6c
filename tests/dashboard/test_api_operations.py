"""Everything an operator does, by HTTP: each change takes effect, and is on record."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from eventsys import (
    CronTask,
    DeadLetter,
    DelayedEvent,
    Event,
    EventFilter,
    EventMetrics,
    EventService,
    NotFoundError,
    Page,
    Replay,
    SubscriptionMetrics,
    TypeMetrics,
)
from eventsys.model.diagnosis import Diagnosis
from eventsys.model.machinery import QueueState, WorkerProcess
from eventsys.model.schema_changes import SchemaSet
from eventsys.model.standing import SubscriptionStanding
from eventsys.settings import AlertSettings
from tests.dashboard.conftest import JSON, VIEWER_TOKEN, client_of
from tests.dashboard.routes import ROUTES
from tests.support.waiting import eventually

API = "/api/v1"

Changed = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def letters(events: EventService, quick_work: Callable[..., Any]) -> list[str]:
    """Three dead letters of one subscription; what is sent again succeeds."""
    broken = [True]

    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        if broken[0]:
            raise RuntimeError("no stock")

    quick_work()
    made = [events.publish("order.paid", {"n": number}) for number in range(3)]
    for event in made:
        assert events.wait(event.id).status == "failed"
    broken[0] = False
    return [f"{event.id}:ship" for event in made]


def post(client: TestClient, path: str, body: Any = None, *, status: int = 200) -> Any:
    answer = client.post(f"{API}/{path}", json=body) if body is not None else client.post(f"{API}/{path}", headers=JSON)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_delayed_event_is_scheduled_moved_and_taken_back(
    client: TestClient, events: EventService, changes: Changed
) -> None:
    made = post(client, "delayed", {"type": "order.due", "payload": {"n": 1}, "delay": "1h"}, status=201)
    event_id = DelayedEvent[dict[str, Any]].model_validate(made).id
    listed = Page[DelayedEvent[dict[str, Any]]].model_validate(client.get(f"{API}/delayed").json())
    assert [one.id for one in listed.items] == [event_id]
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    post(client, f"delayed/{event_id}/reschedule", {"at": at.isoformat()})
    assert events.get_delayed_event(event_id).delay_until == at
    assert post(client, f"delayed/{event_id}/cancel")["status"] == "cancelled"
    assert client.get(f"{API}/delayed/{event_id}").json()["status"] == "cancelled"
    assert [one["action"] for one in changes()] == ["delayed.schedule", "delayed.reschedule", "delayed.cancel"]


def test_a_delayed_event_is_let_go_now(client: TestClient, events: EventService, changes: Changed) -> None:
    event = events.schedule("order.due", {}, delay="1h")
    before = events.get_delayed_event(event.id).delay_until
    assert datetime.fromisoformat(post(client, f"delayed/{event.id}/run")["delay_until"]) < before
    assert [one["target"] for one in changes()] == [event.id]


def test_what_failed_is_not_on_record_as_a_change(client: TestClient, changes: Changed) -> None:
    post(client, "delayed/unknown/cancel", status=404)
    post(client, "cron/unknown/pause", status=404)
    assert changes() == []


@pytest.mark.parametrize("body", [{}, {"delay": "1h", "at": "2100-01-01T00:00:00Z"}, {"delay": "yesterday"}, {"x": 1}])
def test_a_time_that_will_not_do_is_refused(client: TestClient, events: EventService, body: dict[str, str]) -> None:
    event = events.schedule("order.due", {}, delay="1h")
    post(client, f"delayed/{event.id}/reschedule", body, status=422)
    assert events.get_delayed_event(event.id).delay_until == event.delay_until


def test_a_waiting_retry_is_listed(client: TestClient, events: EventService, quick_work: Callable[..., Any]) -> None:
    @events.on("order.paid", name="ship", retry_delay="1h")
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    event = events.publish("order.paid", {})
    [found] = eventually(lambda: client.get(f"{API}/delayed/retries").json()["items"])
    assert (found["subscription"], found["event"]["id"]) == ("ship", event.id)


def test_many_delayed_events_are_counted_taken_back_and_let_go(
    client: TestClient, events: EventService, changes: Changed
) -> None:
    made = [events.schedule(f"order.t{number % 2}", {}, delay="1h") for number in range(6)]
    some = {"filter": {"types": ["order.t0"]}}
    assert post(client, "delayed/cancel", {**some, "dry_run": True}) == {"matched": 3, "is_exact": True, "changed": 0}
    assert events.get_delayed_events().total == 6
    assert post(client, "delayed/cancel", some) == {"matched": 3, "is_exact": True, "changed": 3}
    assert post(client, "delayed/run", {"ids": [made[1].id, made[0].id]})["changed"] == 1
    assert post(client, "delayed/run", {"all": True})["changed"] == 2
    assert events.get_delayed_events().total == 0
    for wrong in ({}, {"ids": []}, {"all": True, "ids": ["1"]}, {"filter": {"typos": ["order.t1"]}}, {"al": True}):
        post(client, "delayed/cancel", wrong, status=422)
    assert [one["action"] for one in changes()] == ["delayed.cancel", "delayed.run", "delayed.run"]


def test_a_waiting_retry_is_cancelled(
    client: TestClient, events: EventService, quick_work: Callable[..., Any], changes: Changed
) -> None:
    @events.on("order.paid", name="ship", max_retries=1, retry_delay="1h")
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    event = events.publish("order.paid", {})
    eventually(lambda: client.get(f"{API}/delayed/retries").json()["items"])
    retry = {"event_id": event.id, "subscription": "ship"}
    assert post(client, "delayed/retries/cancel", retry)["status"] == "cancelled"
    assert events.get_event(event.id).status == "cancelled"
    post(client, "delayed/retries/cancel", retry, status=409)
    assert [one["target"] for one in changes()] == [f"{event.id}:ship"]


def test_dead_letters_are_listed_shown_and_sent_again(
    client: TestClient, events: EventService, letters: list[str], changes: Changed
) -> None:
    listed = Page[DeadLetter].model_validate(client.get(f"{API}/dead-letters", params={"reason": "failed"}).json())
    assert {one.id for one in listed.items} == set(letters)
    assert client.get(f"{API}/dead-letters", params={"reason": "timeout"}).json()["items"] == []
    assert "no stock" in DeadLetter.model_validate(client.get(f"{API}/dead-letters/{letters[0]}").json()).traceback
    post(client, f"dead-letters/{letters[0]}/redrive")
    assert events.wait(letters[0].rpartition(":")[0]).status == "delivered"
    counted = post(client, "dead-letters/redrive", {"filter": {"subscription": "ship"}, "dry_run": True})
    assert (counted["matched"], counted["redriven"]) == (2, 0)
    some = post(client, "dead-letters/redrive", {"ids": [letters[0], letters[1]], "dry_run": True})
    assert (some["matched"], some["redriven"], some["refused"]) == (2, 0, {"gone": 1})
    assert post(client, "dead-letters/redrive", {"filter": {"subscription": "ship"}})["redriven"] == 2
    assert [one["action"] for one in changes()] == ["letters.redrive", "letters.redrive"]


def test_dead_letters_are_purged_one_by_one_and_by_filter(
    client: TestClient, events: EventService, letters: list[str], changes: Changed
) -> None:
    assert post(client, f"dead-letters/{letters[0]}/purge") == {"matched": 1, "purged": 1}
    post(client, f"dead-letters/{letters[0]}/purge", status=404)
    assert post(client, "dead-letters/purge", {"all": True, "dry_run": True}) == {"matched": 2, "purged": 0}
    assert post(client, "dead-letters/purge", {"ids": letters, "dry_run": True}) == {"matched": 2, "purged": 0}
    assert events.dead_letters.count() == 2
    assert post(client, "dead-letters/purge", {"ids": [letters[1]]}) == {"matched": 1, "purged": 1}
    assert post(client, "dead-letters/purge", {"filter": {"types": ["order.*"]}}) == {"matched": 1, "purged": 1}
    assert len(changes()) == 3


@pytest.mark.parametrize("body", [{}, {"all": True, "ids": ["x"]}, {"filter": {"unknown": 1}}, {"ids": ["x"] * 1001}])
@pytest.mark.parametrize("verb", ["redrive", "purge"])
def test_dead_letters_must_be_said_which(
    client: TestClient, events: EventService, letters: list[str], verb: str, body: dict[str, Any]
) -> None:
    post(client, f"dead-letters/{verb}", body, status=422)
    assert events.dead_letters.count() == 3


def test_a_cron_task_lives_its_whole_life(client: TestClient, events: EventService, changes: Changed) -> None:
    body = {
        "schedule": "0 6 * * *",
        "event_type": "report.due",
        "payload": {"pin": "4711"},
        "timezone": "Europe/Berlin",
    }
    made = client.put(f"{API}/cron/nightly", json=body)
    assert made.status_code == 200, made.text
    assert CronTask.model_validate(made.json()).timezone == "Europe/Berlin"
    assert [one["name"] for one in client.get(f"{API}/cron").json()["items"]] == ["nightly"]
    assert client.patch(f"{API}/cron/nightly", json={"schedule": "@hourly"}).status_code == 200
    assert events.cron.get("nightly").event_type == "report.due"
    assert post(client, "cron/nightly/pause")["state"] == "paused"
    assert "operator local" in events.cron.get("nightly").reason
    assert post(client, "cron/nightly/resume")["state"] == "active"
    run = post(client, "cron/nightly/run")
    assert [one["run_id"] for one in client.get(f"{API}/cron/nightly/history").json()["items"]] == [run["run_id"]]
    assert client.delete(f"{API}/cron/nightly", headers=JSON).status_code == 200
    with pytest.raises(NotFoundError):
        events.cron.get("nightly")
    said = changes()
    assert [one["action"].partition(".")[2] for one in said] == [
        "create", "update", "pause", "resume", "run", "delete"
    ]  # fmt: skip
    assert "4711" not in str(said)


@pytest.mark.parametrize(
    "body", [{}, {"schedule": "61 * * * *", "event_type": "a.b"}, {"schedule": "@hourly"}, {"schedule": 5}, {"x": 1}]
)
def test_a_cron_task_that_cannot_be_is_refused(client: TestClient, events: EventService, body: dict[str, Any]) -> None:
    assert client.put(f"{API}/cron/nightly", json=body).status_code == 422
    assert events.cron.list().total == 0


def test_a_subscription_is_paused_resumed_and_ended(client: TestClient, events: EventService, changes: Changed) -> None:
    events.subscribe("order.*", _handle, name="ship")
    events.bus.prepare()
    [listed] = client.get(f"{API}/subscriptions").json()
    assert SubscriptionStanding.model_validate(listed).name == "ship"
    assert post(client, "subscriptions/ship/pause")["state"] == "paused"
    assert client.get(f"{API}/subscriptions/ship").json()["state"] == "paused"
    assert post(client, "subscriptions/ship/resume")["state"] != "paused"
    assert client.delete(f"{API}/subscriptions/ship", headers=JSON).status_code == 204
    assert client.get(f"{API}/subscriptions").json() == []
    assert [one["action"].partition(".")[2] for one in changes()] == ["pause", "resume", "delete"]


def test_history_is_counted_and_given_again(client: TestClient, events: EventService, changes: Changed) -> None:
    events.publish("order.paid", {})
    events.subscribe("order.*", _handle, name="ship")
    events.bus.prepare()
    wanted = {"subscription": "ship", "filter": {"types": ["order.paid"]}, "backfill": True}
    assert post(client, "replays/count", wanted)["subscription"] == "ship"
    begun = Replay.model_validate(post(client, "replays", wanted, status=201))
    assert begun.requested_by == "operator local@127.0.0.1"
    assert begun.is_backfill
    assert [one["id"] for one in client.get(f"{API}/replays").json()] == [begun.id]
    assert post(client, f"replays/{begun.id}/cancel")["state"] == "cancelled"
    assert client.get(f"{API}/replays/{begun.id}").json()["state"] == "cancelled"
    post(client, "replays", {"subscription": "nobody"}, status=404)
    post(client, "replays", {"subscription": "ship", "rate": 0}, status=422)
    assert [one["action"] for one in changes()] == ["replays.begin", "replays.cancel"]


def test_a_queue_is_paused_and_resumed(
    client: TestClient, events: EventService, quick_work: Callable[..., Any], changes: Changed
) -> None:
    quick_work()
    post(client, "queues/unknown/pause", status=404)
    queue = "eventsys.log"
    eventually(lambda: [one for one in client.get(f"{API}/queues").json() if QueueState.model_validate(one).readers])
    assert post(client, f"queues/{queue}/pause")["is_paused"] is True
    assert post(client, f"queues/{queue}/resume")["is_paused"] is False
    said = [(one["action"], one["target"]) for one in changes()]
    assert said == [("queues.pause", queue), ("queues.resume", queue)]


def test_figures_findings_and_types_are_those_of_the_library(
    client: TestClient, events: EventService, letters: list[str]
) -> None:
    assert EventMetrics.model_validate(client.get(f"{API}/metrics").json()).failed_events == 3
    types = client.get(f"{API}/metrics/types").json()
    assert TypeMetrics.model_validate(types["order.paid"]).total_events == 3
    subscriptions = client.get(f"{API}/metrics/subscriptions").json()
    assert SubscriptionMetrics.model_validate(subscriptions["ship"]).dead == 3
    assert [WorkerProcess.model_validate(one).queues for one in client.get(f"{API}/workers").json()]
    assert Diagnosis.model_validate(client.get(f"{API}/doctor").json()).findings
    assert SchemaSet.model_validate(client.get(f"{API}/schema").json()).types["user.login"].version == 1
    assert client.get(f"{API}/alerts").json() == []


def test_it_is_told_when_a_schedule_would_run(client: TestClient, events: EventService) -> None:
    asked = {"schedule": "0 6 25 12 *", "timezone": "Europe/Berlin", "count": 2}
    ticks = client.get(f"{API}/cron-ticks", params=asked).json()["ticks"]
    assert [one[4:] for one in ticks] == ["-12-25T05:00:00Z"] * 2
    assert int(ticks[1][:4]) == int(ticks[0][:4]) + 1
    wrong = client.get(f"{API}/cron-ticks", params={"schedule": "61 * * * *"})
    assert (wrong.status_code, wrong.json()["error"]) == (422, "InvalidScheduleError")
    assert events.cron.list().total == 0


def test_what_is_due_is_counted_by_day(client: TestClient, events: EventService) -> None:
    for hour in (0, 23):
        events.schedule("order.due", {}, at=datetime(2031, 3, 9, hour, tzinfo=UTC))
    days = client.get(f"{API}/delayed/calendar", params={"month": "2031-03"}).json()
    assert len(days) == 31
    assert [one for one in days if one["due"]] == [{"day": "2031-03-09", "due": 2}]
    assert client.get(f"{API}/delayed/calendar", params={"month": "2031-13"}).status_code == 422


def test_the_last_hour_the_rules_and_what_runs_are_told(
    client: TestClient, events: EventService, letters: list[str]
) -> None:
    minutes = client.get(f"{API}/metrics/activity").json()
    assert len(minutes) == 60
    assert [sum(one[name] for one in minutes) for name in ("published", "succeeded", "failed")] == [3, 0, 3]
    rules = {one["name"]: one["warns_when"] for one in client.get(f"{API}/alerts/rules").json()}
    assert {"dead_letters", "lateness"} <= set(rules) <= set(AlertSettings.model_fields)
    assert any(rules.values())
    assert client.get(f"{API}/workers/running").json() == []


def test_what_a_process_runs_is_told(client: TestClient, events: EventService, quick_work: Callable[..., Any]) -> None:
    goes_on = threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        goes_on.wait(60)

    quick_work()
    try:
        events.publish("order.paid", {})
        running = eventually(
            lambda: [one for one in client.get(f"{API}/workers/running").json() if one["handler"] == "ship"]
        )
        assert running[0]["queue"]
    finally:
        goes_on.set()


def test_the_description_of_the_api_names_every_route_and_is_valid(client: TestClient) -> None:
    described = client.get(f"{API}/openapi.json").json()
    own = {path for _, path in ROUTES if path.startswith(API) and not path.endswith("openapi.json")}
    assert {re.sub(r"\{[^}]+\}", "x", path) for path in described["paths"]} == own
    assert set(described["paths"][f"{API}/events"]["post"]["requestBody"]["content"]) == {
        "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"
    }  # fmt: skip
    known = described["components"]["schemas"]
    for reference in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(described)):
        assert reference in known
    assert "#/$defs/" not in json.dumps(described)


def test_viewers_see_what_operators_see(events: EventService, guarded: Any) -> None:
    events.publish("order.paid", {}, id="seen")
    viewer = client_of(guarded, token=VIEWER_TOKEN)
    assert viewer.get(f"{API}/events/seen").status_code == 200
    assert events.get_event_records(EventFilter()).total == 1


def _handle(event: Event) -> None:
    """Do nothing."""
