"""The bodies that the dashboard takes, read as its routes read them, down to where Redis would be asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from eventsys import EventService
from eventsys.clock import to_ms
from eventsys.dashboard.api.cron import CronFields
from eventsys.dashboard.api.delayed import NewDelayedEvent, NewTime
from eventsys.dashboard.api.letters import Chosen, ToRedrive
from eventsys.dashboard.api.publishing import BATCH_TYPE, sent_events
from eventsys.dashboard.api.replays import NewReplay
from eventsys.dashboard.asking import filter_from
from eventsys.dashboard.cron_form import fields_in
from eventsys.dashboard.forms import COOKIE, FIELD, FormTokens, form_of
from eventsys.dashboard.schema_form import fields_of, payload_of
from eventsys.errors import EventsysError
from eventsys.model.cloudevents import MEDIA_TYPE
from eventsys.model.dead_letter import DeadLetterFilter
from eventsys.model.queries import EventFilter
from tests.fuzz.http import CLOUD_EVENT, FILLED_IN, FORM, Takes, attributes_of

#: What a body may be refused with; a route makes a 4xx of each.
REFUSALS = (EventsysError, HTTPException, ValidationError)

_MODELS: tuple[type[BaseModel], ...] = (CronFields, NewTime, NewDelayedEvent, Chosen, ToRedrive, NewReplay)

_FIELDS = fields_of(Takes.model_json_schema())


class Bodies:
    """Reads bodies on a bus whose Redis nobody asks."""

    def __init__(self) -> None:
        self._events = EventService(redis_url="redis://127.0.0.1:1/0", name="fuzz", app="fuzz", announce=False)
        self._events.broker.clock.turn_to(1_800_000_000_000)
        self._events.type("a.b", Takes)
        self._tokens = FormTokens()
        self._app = SimpleNamespace(state=SimpleNamespace(events=self._events, form_tokens=self._tokens))
        self._form = FIELD.encode() + b"=" + self._tokens.token_of("fuzz").encode() + b"&"
        self.readers: tuple[Callable[[bytes], object], ...] = (
            lambda body: self._publish(b"application/json", body),
            lambda body: self._publish(MEDIA_TYPE.encode(), body),
            lambda body: self._publish(BATCH_TYPE.encode(), body),
            self._publish_binary,
            self._form_of_a_type,
            self._form_of_a_task,
            self._form_of_a_filter,
            *(model.model_validate_json for model in _MODELS),
        )

    def read(self, data: bytes) -> None:
        """Read a body; the first byte says which of them it is."""
        kind, body = (data[0], data[1:]) if data else (0, b"")
        self.readers[kind % len(self.readers)](body)

    def _publish(self, content_type: bytes, body: bytes, *more: tuple[bytes, bytes]) -> None:
        key = [(b"idempotency-key", b"k")] if len(body) % 2 else []
        request = self._request([(b"content-type", content_type), *key, *more], body)
        for one in _outcome(sent_events(request)).events:
            self._events.bus.drafter.draft_any(one)

    def _publish_binary(self, data: bytes) -> None:
        attributes, _, body = data.partition(b"\x00")
        self._publish(b"application/json", body, *attributes_of(attributes))

    def _sent(self, data: bytes) -> dict[str, str]:
        headers = [(b"content-type", FORM.encode()), (b"cookie", f"{COOKIE}=fuzz".encode())]
        return dict(_outcome(form_of(self._request(headers, self._form + data))).fields)

    def _form_of_a_type(self, data: bytes) -> None:
        self._events.bus.drafter.draft("a.b", payload_of(_FIELDS, self._sent(data)))

    def _form_of_a_task(self, data: bytes) -> None:
        fields_in(self._sent(data))

    def _form_of_a_filter(self, data: bytes) -> None:
        sent = self._sent(data)
        for model in (EventFilter, DeadLetterFilter):
            found, _ = filter_from(model, sent)
            start = getattr(found, "start_time", None)
            assert start is None or to_ms(start) is not None

    def _request(self, headers: list[tuple[bytes, bytes]], body: bytes) -> Request:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
        return Request({**scope, "app": self._app}, receive)


@cache
def _bodies() -> Bodies:
    return Bodies()


def read(data: bytes) -> None:
    """Read a body as a route would."""
    _bodies().read(data)


def _outcome(coroutine: Any) -> Any:
    """Return what a coroutine comes to that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits for something")


SEEDS = (
    b'\x00{"type":"a.b","payload":{"n":1},"priority":5,"time":"2026-11-25T12:00:00Z"}',
    b"\x01" + CLOUD_EVENT,
    b"\x02[" + CLOUD_EVENT + b"] ",
    b'\x03id=1&source=s&type=a.b&correlationid=c\x00{"n":1}',
    b"\x04" + FILLED_IN,
    b"\x05schedule=%2A+%2A+%2A+%2A+%2A&event_type=a.b&payload=%7B%7D&catch_up=10m&ends_at=2026-11-25T12:00",
    b"\x06types=a.b,c.%2A&start_time=2026-11-25T12:00&status=failed&text=x",
    b'\x07{"schedule":"* * * * *","event_type":"a.b","payload":{},"ends_at":"2026-11-25T12:00:00Z"}',
    b'\x08{"at":"2026-11-25T12:00:00Z"}',
    b'\x09{"type":"a.b","payload":{},"delay":"10m"}',
    b'\x0a{"ids":["1"],"dry_run":true}',
    b'\x0b{"filter":{"types":["a.b"]},"rate":"10/s"}',
    b'\x0c{"subscription":"s","filter":{"types":["a.b"]},"rate":100}',
)
