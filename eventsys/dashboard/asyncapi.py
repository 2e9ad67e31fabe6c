"""The description of all typed events as AsyncAPI 3: what may be published, who receives it, how it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from eventsys.model.catalog import Catalog
from eventsys.model.patterns import GUARDED, pattern_matches
from eventsys.model.subscription import Subscription

VERSION = "3.0.0"

#: How what is not allowed in a reference is written, see RFC 6901.
_POINTER = str.maketrans({"~": "~0", "/": "~1"})

_ATTRIBUTES = {
    "ce-id": "Its id.",
    "ce-source": "Who published it.",
    "ce-time": "When, as RFC 3339.",
    "ce-priority": "1, 5, 8 or 10.",
    "ce-correlationid": "The chain of events that it belongs to.",
    "ce-causationid": "The event whose handler published it.",
}


def asyncapi_of(
    catalog: Catalog, subscriptions: Sequence[Subscription], *, title: str, version: str, server: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the description.

    Each type is a channel whose address is the type, with one message: the payload as its body, the rest of the event
    in headers, as CloudEvents travel in HTTP's binary mode.

    Args:
        catalog: The types.
        subscriptions: Who receives.
        title: What the application is called.
        version: Of the application, or of what describes it.
        server: Where events are posted: `host`, `protocol`, `pathname`.
    """
    models = dict(sorted(catalog.registered().items()))
    references, found = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models.values())],
        ref_template="#/components/schemas/{model}",
    )
    messages = {
        name: {
            "name": name,
            "title": model.__name__,
            "summary": _first_line(model.__doc__),
            "contentType": "application/json",
            "headers": _headers(name),
            "payload": references[(model, "validation")],
            "x-payload-version": catalog.version_for(name),
        }
        for name, model in models.items()
    }
    return {
        "asyncapi": VERSION,
        "info": {
            "title": title,
            "version": version,
            "description": "Events of one bus. They are published as CloudEvents by HTTP, or from Python.",
        },
        "defaultContentType": "application/json",
        "servers": {"http": dict(server)},
        "channels": {name: _channel(name) for name in models},
        "operations": {
            key: operation for name in models for key, operation in _operations(name, subscriptions).items()
        },
        "components": {"messages": messages, "schemas": found.get("$defs", {})},
    }


def _channel(event_type: str) -> dict[str, Any]:
    return {
        "address": event_type,
        "messages": {event_type: {"$ref": f"#/components/messages/{event_type.translate(_POINTER)}"}},
    }


def _operations(event_type: str, subscriptions: Sequence[Subscription]) -> dict[str, Any]:
    """Return what the application does with a type: what the system says of itself is not the application's to send."""
    channel = f"#/channels/{event_type.translate(_POINTER)}"
    about = {
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{event_type.translate(_POINTER)}"}],
    }
    operations: dict[str, Any] = {}
    if event_type.partition(".")[0] not in GUARDED:
        operations[f"send.{event_type}"] = {"action": "send", **about}
    wanted_by = [one.name for one in subscriptions if pattern_matches(one.pattern, event_type)]
    if wanted_by:
        summary = f"Received by {', '.join(wanted_by)}."
        operations[f"receive.{event_type}"] = {"action": "receive", "summary": summary, **about}
    return operations


def _headers(event_type: str) -> dict[str, Any]:
    texts = {name: {"type": "string", "description": said} for name, said in _ATTRIBUTES.items()}
    fixed = {"ce-specversion": {"type": "string", "const": "1.0"}, "ce-type": {"type": "string", "const": event_type}}
    required = ["ce-specversion", "ce-id", "ce-source", "ce-type"]
    return {"type": "object", "required": required, "properties": {**fixed, **texts}}


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
