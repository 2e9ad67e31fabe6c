"""`/asyncapi.json`: every typed event, who receives it, and no reference that leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.testclient import TestClient

from eventsys import EventService
from eventsys.dashboard import dashboard
from eventsys.model.catalog import BUILTIN_TYPES, RECORD_TYPES
from tests.dashboard.conftest import client_of


class Inner(BaseModel):
    value: int


class Paid(BaseModel):
    """An order was paid.

    In whole.
    """

    amount: int
    inner: Inner


def _other() -> type[BaseModel]:
    class Inner(BaseModel):
        text: str

    class Sent(BaseModel):
        inner: Inner

    return Sent


def test_every_type_is_described_and_every_reference_leads_somewhere(client: TestClient, events: EventService) -> None:
    events.type("order.paid", Paid, version=3)
    events.type("order.sent", _other())
    events.subscribe("order.#", lambda event: None, name="ship")
    events.subscribe("order.paid", lambda event: None, name="count")
    events.bus.prepare()
    described = client.get("/asyncapi.json").json()
    assert described["asyncapi"] == "3.0.0"
    assert set(described["channels"]) == {*BUILTIN_TYPES, *RECORD_TYPES, "order.paid", "order.sent"}
    for reference in _references(described):
        assert _followed(described, reference) is not None, reference
    paid = described["components"]["messages"]["order.paid"]
    assert (paid["title"], paid["summary"], paid["x-payload-version"]) == ("Paid", "An order was paid.", 3)
    assert paid["headers"]["properties"]["ce-type"]["const"] == "order.paid"
    assert described["operations"]["receive.order.paid"]["summary"] == "Received by count, ship."
    assert described["operations"]["send.order.paid"]["action"] == "send"
    assert "send.system.warning" not in described["operations"]
    payload = _followed(described, paid["payload"]["$ref"])
    sent = _followed(described, described["components"]["messages"]["order.sent"]["payload"]["$ref"])
    inner = [_followed(described, one["properties"]["inner"]["$ref"])["properties"] for one in (payload, sent)]
    assert [list(one) for one in inner] == [["value"], ["text"]]


def test_the_server_is_where_events_are_posted(events: EventService) -> None:
    outer = Starlette()
    outer.mount("/eventsys", dashboard(events))
    server = client_of(outer).get("/eventsys/asyncapi.json").json()["servers"]["http"]
    assert server == {"host": "127.0.0.1:8765", "protocol": "http", "pathname": "/eventsys/api/v1/events"}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _followed(document: Any, reference: str) -> Any:
    assert reference.startswith("#/")
    for part in reference[2:].split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document
