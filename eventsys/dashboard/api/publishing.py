"""What `POST /events` takes: CloudEvents in their three HTTP forms, and plain JSON."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from eventsys.dashboard.context import service_of
from eventsys.errors import InvalidEventError
from eventsys.model.cloudevents import MEDIA_TYPE, from_cloudevent
from eventsys.model.event import LONGEST_KEY, Event
from eventsys.model.misfits import misfits
from eventsys.model.priority import Priority

BATCH_TYPE = "application/cloudevents-batch+json"

#: Events of a batch, which are stored together or not at all.
MOST_OF_BATCH = 500


class NewEvent(BaseModel):
    """An event to publish, in plain JSON."""

    model_config = ConfigDict(extra="forbid")

    type: str
    payload: dict[str, Any] = Field(default_factory=dict)
    source: str = ""
    priority: Priority = Priority.NORMAL
    id: str | None = None
    time: datetime | None = None
    version: int | None = None
    correlation_id: str | None = None
    headers: dict[str, str] | None = None
    idempotency_key: str | None = None
    window: str | None = None
    """How long the key is remembered: `24h`."""
    max_retries: int | None = None
    retry_delay: str | None = None
    expire_after: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return it as the arguments of `EventService.publish`."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {"event_type": given.pop("type"), **given}


class Sent(NamedTuple):
    """What was sent to be published.

    Attributes:
        events: Each an event, or the arguments of `publish`.
        is_batch: Whether it was a batch, so that the answer is one too.
    """

    events: list[Any]
    is_batch: bool = False


_CLOUDEVENT = {"type": "object", "required": ["specversion", "id", "source", "type"]}

_PLAIN = NewEvent.model_json_schema(ref_template="#/components/schemas/{model}")
del _PLAIN["$defs"]  # what it refers to is among the models of other routes

#: The forms of it, for the OpenAPI description.
CONTENT: dict[str, Any] = {
    "application/json": {"schema": _PLAIN},
    MEDIA_TYPE: {"schema": _CLOUDEVENT},
    BATCH_TYPE: {"schema": {"type": "array", "items": _CLOUDEVENT, "maxItems": MOST_OF_BATCH}},
}


async def sent_events(request: Request) -> Sent:
    """Return what was sent to be published.

    Raises:
        InvalidEventError: If it is none of the forms, or breaks its rules.
        HTTPException: 415 for another content type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body, key, now = await request.body(), _key(request), service_of(request).broker.clock.now()
    if kind == BATCH_TYPE:
        if key is not None:
            raise InvalidEventError("a batch has no Idempotency-Key; give each of its events an `idempotencykey`")
        return Sent([from_cloudevent(one, now=now) for one in _batch(body)], is_batch=True)
    if kind == MEDIA_TYPE:
        return Sent([_keyed(from_cloudevent(body, now=now), key)])
    if kind != "application/json":
        raise HTTPException(415, f"send application/json, {MEDIA_TYPE} or {BATCH_TYPE}")
    if "ce-specversion" in request.headers:
        return Sent([_keyed(from_cloudevent(_binary(request, body), now=now), key)])
    return Sent([_plain(body, key)])


def _plain(body: bytes, key: str | None) -> dict[str, Any]:
    try:
        arguments = NewEvent.model_validate_json(body).arguments()
    except ValidationError as error:
        raise InvalidEventError(f"this is no event: {misfits(error)}") from error
    if key is not None and arguments.setdefault("idempotency_key", key) != key:
        raise InvalidEventError("the Idempotency-Key and the event's own idempotency_key differ; give one of them")
    return arguments


def _binary(request: Request, body: bytes) -> dict[str, Any]:
    """Return the CloudEvent whose attributes are headers, percent-encoded, and whose data is the body."""
    attributes: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in request.headers.items() if name.startswith("ce-")
    }
    attributes["datacontenttype"] = "application/json"
    return {**attributes, "data": _json(body)} if body else attributes


def _batch(body: bytes) -> list[Any]:
    found = _json(body)
    if not isinstance(found, list) or len(found) > MOST_OF_BATCH:
        raise InvalidEventError(f"a batch is a JSON list of at most {MOST_OF_BATCH} CloudEvents")
    return found


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidEventError("what was sent is no JSON") from error


def _keyed(event: Event[Any], key: str | None) -> Event[Any]:
    if key is None or event.idempotency_key == key:
        return event
    if event.idempotency_key is not None:
        raise InvalidEventError("the Idempotency-Key and the event's own idempotencykey differ; give one of them")
    return event.model_copy(update={"idempotency_key": key})


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InvalidEventError(f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
    return key
