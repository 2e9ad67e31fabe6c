"""`eventsys publish` and `eventsys version`."""

from __future__ import annotations

import json

import pytest
import redis
from typer.testing import CliRunner

from eventsys import Event, EventService, Priority
from eventsys.cli.commands import app


def run(*arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture
def events(redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> EventService:
    monkeypatch.setenv("EVENTSYS_REDIS_URL", redis_url)
    monkeypatch.delenv("REDIS_URL", raising=False)
    return EventService()


def test_a_published_event_is_stored_with_everything_that_was_given(events: EventService) -> None:
    given = ["--source", "shell", "--priority", "high", "--id", "order-1", "--correlation-id", "chain-1"]
    assert run("publish", "order.paid", '{"amount": 5}', *given) == "published order.paid order-1\n"
    record = events.get_event("order-1")
    assert (record.type, record.payload, record.source) == ("order.paid", {"amount": 5}, "shell")
    assert (record.priority, record.correlation_id) == (Priority.HIGH, "chain-1")


def test_a_payload_of_a_dash_is_read_from_stdin(events: EventService) -> None:
    run("publish", "order.paid", "-", "--id", "order-2", stdin='{"amount": 6}')
    assert events.get_event("order-2").payload == {"amount": 6}


def test_json_is_the_event(events: EventService) -> None:
    event = Event.model_validate_json(run("publish", "order.paid", "{}", "--json"))
    assert event == Event.model_validate(events.get_event(event.id).model_dump(include=set(Event.model_fields)))


def test_a_delayed_event_waits_and_says_when_it_is_due(events: EventService) -> None:
    said = run("publish", "order.paid", "{}", "--delay", "10m", "--id", "order-3")
    due = events.get_delayed_event("order-3").delay_until
    assert said == f"scheduled order.paid order-3, due at {due:%Y-%m-%d %H:%M:%S} UTC\n"


def test_a_second_publish_with_the_same_key_says_so(events: EventService) -> None:
    first = run("publish", "order.paid", "{}", "--idempotency-key", "k")
    second = run("publish", "order.paid", "{}", "--idempotency-key", "k")
    assert second == f"already {first}"


def test_the_option_wins_over_the_environment(
    redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSYS_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert run("publish", "order.paid", "{}", "--redis-url", redis_url).startswith("published order.paid")


def test_version_is_a_line_for_people_and_an_object_for_programs() -> None:
    versions = json.loads(run("version", "--json"))
    assert run("version").startswith(f"eventsys {versions['eventsys']} (python ")
    assert {"dramatiq", "redis", "pydantic"} <= set(versions)
