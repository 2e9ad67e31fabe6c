"""A payload that does not fit its handler is told of without what was given: in Redis, in the log and in spans."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import redis
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, Field, field_serializer
from typing_extensions import TypedDict

from eventsys import Event, EventService, EventStatus
from tests.service.test_encryption import CANARY, KEYS, everything_in
from tests.support.fixtures import SEALED
from tests.support.services import Services
from tests.support.waiting import eventually

Secret = Annotated[int, Field(json_schema_extra={"secret": True})]


class Order(BaseModel):
    """What a handler wants, with nothing secret in it."""

    card: int
    note: str = ""


class Marked(BaseModel):
    """The publisher's model, which knows what is secret."""

    card: Annotated[str, Field(json_schema_extra={"secret": True})]


class CardA(BaseModel):
    """One of two."""

    card: Secret


class CardB(BaseModel):
    """The other."""

    card: Secret
    name: str


@dataclass
class PlainCard:
    """A dataclass with a secret."""

    card: Secret


class CardKeys(TypedDict):
    """A dictionary with a secret."""

    card: Secret


class Balances(BaseModel):
    """A dictionary whose keys are given."""

    by_card: dict[str, int]


class Unreadable(BaseModel):
    """What is not read back as it is written."""

    card: int

    @field_serializer("card")
    def _write(self, card: int) -> str:
        return f"{CANARY}-{card}"


@pytest.fixture
def sealing() -> dict[str, str]:
    return {**SEALED, "encryption_keys": KEYS}


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize(
    ("wanted", "payload", "told"),
    [
        (Order, {"card": CANARY}, "card: Input should be a valid integer"),
        (Order, {"note": CANARY}, "card: Field required"),
        (Order, Marked(card=CANARY), "card: Input should be a valid integer"),
        (CardA | CardB, {"card": CANARY}, "CardA.card: Input should be a valid integer"),
        (PlainCard, {"card": CANARY}, "card: Input should be a valid integer"),
        (CardKeys, {"card": CANARY}, "card: Input should be a valid integer"),
        (Balances, {"by_card": {CANARY: CANARY}}, "by_card.*: Input should be a valid integer"),
    ],
    ids=["value", "missing", "publishers-mark", "union", "dataclass", "typed-dict", "key"],
)
def test_what_was_given_is_nowhere(
    redis_client: redis.Redis, services: Services, worker_class: Any, exporter: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture, wanted: Any, payload: Any, told: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    events = services.make(tracing=True)

    def handle(event: Any) -> None:
        """Never called."""

    handle.__annotations__["event"] = Event[wanted]
    events.on("card.used", name="h")(handle)
    services.work(events, worker_class)
    event = events.publish("card.used", payload)
    assert events.wait(event.id).status is EventStatus.FAILED
    letter = events.dead_letters.show(f"{event.id}:h")
    assert (letter.reason, told in letter.error) == ("invalid_payload", True)
    record = "".join(f"{one.error}{one.traceback}" for one in events.get_event(event.id).deliveries)
    spans = eventually(lambda: len(exporter.get_finished_spans()) == 2 and exporter.get_finished_spans())
    assert told in (traced := "".join(one.to_json() for one in spans))
    assert told in caplog.text
    assert CANARY not in traced + caplog.text + record + letter.error + (letter.traceback or "")
    assert CANARY.encode() not in everything_in(redis_client)


def test_a_handler_that_publishes_what_does_not_fit_tells_nothing_of_it(
    redis_client: redis.Redis, events: EventService, quick_work: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The error is the handler's, and its errors are recorded as they are."""
    events.type("order.placed", Order)
    events.type("card.written", Unreadable)

    @events.on("a.b", name="h", max_retries=0)
    def handle(event: Event) -> None:
        events.publish("order.placed", {"card": CANARY})

    @events.on("a.b", name="unreadable", max_retries=0)
    def handle_too(event: Event) -> None:
        events.publish("card.written", Unreadable(card=1))

    quick_work()
    event = events.publish("a.b", {})
    assert events.wait(event.id).status is EventStatus.FAILED
    assert "card: Input should be a valid integer" in events.dead_letters.show(f"{event.id}:h").error
    assert "card: Input should be a valid integer" in events.dead_letters.show(f"{event.id}:unreadable").error
    assert CANARY not in caplog.text
    assert CANARY.encode() not in everything_in(redis_client)
