"""That it is on record who changed what: no route may change anything beside the desk that writes it down."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from eventsys import Event, EventFilter, EventService
from eventsys.dashboard import api, dashboard, pages
from eventsys.dashboard.access import Access, Caller, Role
from eventsys.dashboard.app import application
from eventsys.dashboard.changes import Desk
from tests.dashboard.browser import Browser
from tests.dashboard.conftest import JSON, TOKEN, client_of
from tests.support.services import Services

#: Asked with POST because what is asked for is long; it changes nothing.
COUNTS = {"/api/v1/replays/count"}


def _changing() -> dict[str, Callable[..., Any]]:
    app = application(EventService(redis_url="redis://127.0.0.1:1/0", name="routes"), Access())
    return {
        f"{method} {context.path}": context.endpoint
        for context in iter_route_contexts(app.routes)
        for method in sorted(set(getattr(context, "methods", None) or ()) - {"GET", "HEAD"})
        if context.path not in COUNTS
    }


CHANGING = _changing()


def test_there_are_routes_that_change_something() -> None:
    assert len(CHANGING) >= 40
    assert "POST /types/{event_type}/publish" in CHANGING


@pytest.mark.parametrize("route", list(CHANGING))
def test_what_a_route_changes_is_changed_at_the_desk(route: str) -> None:
    text = inspect.getsource(CHANGING[route])
    parts = [part for name, part in vars(inspect.getmodule(CHANGING[route])).items() if f"{name}(" in text]
    called = [inspect.getsource(part) for part in parts if inspect.isfunction(part)]
    assert any("desk.change(" in one for one in (text, *called))


def _actions(package: ModuleType) -> set[str]:
    """Return what the modules of a package change at the desk, by the names under which that is on record."""
    text = "".join(one.read_text() for one in Path(package.__file__ or "").parent.glob("*.py"))
    named = set(re.findall(r'desk\.change\(\s*f?"([a-z_.{}]+)"', text))
    assert len(named) >= 15
    return {name.replace("{verb}", verb) for name in named for verb in ("run", "cancel")}


def test_whatever_a_page_changes_a_program_can_change_too() -> None:
    assert _actions(pages) - _actions(api) == set()


def test_who_changed_what_is_logged_and_published_without_the_payload(
    events: EventService, changes: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client: TestClient = client_of(dashboard(events, token=TOKEN), token=TOKEN)
    sent = {"type": "card.seen", "payload": {"number": "4111-1111"}, "id": "seen"}
    assert client.post("/api/v1/events", json=sent).status_code == 201
    [record] = [one for one in caplog.records if one.name == "eventsys.dashboard.changes"]
    assert (record.change, record.who) == ("events.publish", "operator token@127.0.0.1")  # type: ignore[attr-defined]
    [change] = changes()
    assert (change["action"], change["who"]) == ("events.publish", "operator token@127.0.0.1")
    assert "4111-1111" not in caplog.text + str(change)


@pytest.mark.parametrize("settings", [{}, {"max_payload_bytes": 20, "max_payload_levels": 1}])
@pytest.mark.parametrize(
    ("padding", "told"),
    [
        (["ada"], ["e1:mail", "ada"]),
        (["x" * 300_000], ["e1:mail", "x" * 200 + "… (300,000 letters)"]),
        (["\x01" * 150] * 900, {"count": 901, "first": ["e1:mail", *["\x01" * 40 + "… (150 letters)"] * 4]}),
    ],
)
def test_a_change_is_on_record_whatever_is_sent_with_it(
    services: Services, settings: dict[str, Any], padding: list[str], told: Any
) -> None:
    """Padded beyond what a payload may have, a change was made and its event was not."""
    events = services.make(**settings)
    client = client_of(dashboard(events))
    answer = client.post("/api/v1/dead-letters/purge", json={"ids": ["e1:mail", *padding]})
    assert (answer.status_code, answer.json()["purged"]) == (200, 0)
    assert events.bus.system.flush(60)
    [change] = events.get_event_records(EventFilter(types=("system.change",))).items
    assert (change.payload["action"], change.payload["details"]) == ("letters.purge", {"ids": told})


def test_text_that_is_no_unicode_keeps_no_change_off_the_record(events: EventService, changes: Any) -> None:
    Desk(events, Caller(Role.OPERATOR, "ada", "127.0.0.1")).change(
        "letters.purge", "a\udc80", lambda: None, ids=["b\udc80"]
    )
    [change] = changes()
    assert (change["target"], change["details"]) == ("a?", {"ids": ["b?"]})


@pytest.mark.parametrize("way", ["api", "page"])
def test_an_event_is_published_though_a_handler_failed_that_ran_at_once(
    browser: Browser, events: EventService, changes: Callable[[], list[dict[str, Any]]], way: str
) -> None:
    """Whoever heard of an error would send it once more."""

    @events.on("order.paid", name="now", async_=False)
    def handle(event: Event) -> None:
        raise ValueError("no")

    if way == "api":
        sent = {"type": "order.paid", "payload": {"amount": 7}}
        answer = browser.client.post("/api/v1/events", json=sent, headers=JSON)
        assert (answer.status_code, answer.headers["eventsys-handler"]) == (201, "failed")
        event_id = answer.json()["id"]
        assert answer.headers["location"] == f"events/{event_id}"
    else:
        answer = browser.send("/types", "/publish", type="order.paid", json='{"amount": 7}')
        event_id, _, done = answer.headers["location"].removeprefix("/events/").partition("?")
        assert done == "done=failed"
    [record] = events.get_event_records(EventFilter(types=("order.paid",))).items
    assert (record.id, [str(one.status) for one in record.deliveries]) == (event_id, ["dead"])
    assert [(one["action"], one["target"]) for one in changes()] == [("events.publish", "order.paid")]
