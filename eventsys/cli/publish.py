"""`eventsys publish`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.json_given import json_given
from eventsys.cli.options import AsJson, Debug, RedisUrl, use_redis
from eventsys.cli.printing import print_model

if TYPE_CHECKING:
    from eventsys import DelayedEvent, Event


class Urgency(StrEnum):
    """The names of priorities."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


EventType = Annotated[str, typer.Argument(metavar="TYPE", help="Its type, such as user.login.")]
Payload = Annotated[str, typer.Argument(metavar="JSON", help="Its payload, a JSON object; - reads it from stdin.")]
Source = Annotated[str, typer.Option("--source", help="Who publishes it.")]
Delay = Annotated[str | None, typer.Option("--delay", metavar="DURATION", help="Publish it later: 30s, 10m, 1h30m.")]
EventId = Annotated[str | None, typer.Option("--id", help="Its id; publishing it again under this id changes nothing.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        help="A second publish with this key within EVENTSYS_IDEMPOTENCY_WINDOW (24 h) returns the first event.",
    ),
]
Chain = Annotated[str | None, typer.Option("--correlation-id", help="The chain of events it belongs to.")]


def publish(
    event_type: EventType,
    payload: Payload,
    source: Source = "",
    priority: Annotated[Urgency, typer.Option("--priority", help="How urgent it is.")] = Urgency.NORMAL,
    delay: Delay = None,
    event_id: EventId = None,
    idempotency_key: Key = None,
    correlation_id: Chain = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Publish an event; it is stored durably when this ends, and handled as soon as a worker runs."""
    with told_in_a_sentence(debug=debug, of_options=True):
        content = read_payload(payload)
        fields = {"id": event_id, "idempotency_key": idempotency_key, "correlation_id": correlation_id}
        given = {name: value for name, value in fields.items() if value is not None}
        use_redis(redis_url)
        event = _publish(event_type, content, priority, delay, source=source, **given)
        if as_json:
            print_model(event)
        else:
            typer.echo(_told(event))


def read_payload(text: str) -> Any:
    """Return the payload that an argument gives as JSON, or `-` on standard input; refuse what is none."""
    return json_given("the payload", text, '{"user_id": "12345"}')


def _publish(event_type: str, content: Any, priority: Urgency, delay: str | None, **fields: Any) -> Event[Any]:
    from eventsys import EventService, Priority
    from eventsys.model.durations import parse_duration

    events = EventService()
    fields["priority"] = Priority[priority.name]
    try:
        if delay is None:
            return events.publish(event_type, content, **fields)
        return events.schedule(event_type, content, delay=parse_duration(delay), **fields)
    finally:
        events.stop()


def _told(event: Event[Any] | DelayedEvent[Any]) -> str:
    due = getattr(event, "delay_until", None)
    if due is not None:
        return f"scheduled {event.type} {event.id}, due at {due:%Y-%m-%d %H:%M:%S} UTC"
    return f"{'already published' if event.duplicate else 'published'} {event.type} {event.id}"
