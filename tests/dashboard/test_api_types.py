"""What pages show of types, of the caller and of what is wrong, by HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from eventsys import Event, EventService
from eventsys.dashboard import dashboard
from eventsys.dashboard.api.about import About
from eventsys.dashboard.profiles import TypeProfile, TypeStanding
from tests.dashboard.browser import Browser
from tests.dashboard.conftest import TOKEN, VIEWER_TOKEN, client_of

API = "/api/v1"


@pytest.fixture
def known(events: EventService) -> EventService:
    """A bus with a type that two publish and two want, and one that nobody does."""
    for name, pattern in (("ship", "order.paid"), ("audit", "#"), ("mail", "user.*")):
        events.on(pattern, name=name)(_handle)
    events.bus.prepare()
    for source in ("shop", "shop", "bank", ""):
        events.publish("order.paid", {}, source=source)
    events.publish("note.taken", {}, source="desk")
    return events


def test_who_publishes_and_who_wants_a_type_is_told_as_on_its_page(
    client: TestClient, browser: Browser, known: EventService
) -> None:
    told = TypeProfile.model_validate(client.get(f"{API}/types/order.paid").json())
    assert told.publishers == {"shop": 2, "bank": 1, "": 1}
    assert next(iter(told.publishers)) == "shop"
    assert sorted(told.subscribers) == ["audit", "ship"]
    assert (told.model, told.payload, told.version) == (None, None, 1)
    words = browser.open("/types/order.paid").words
    for said in ("shop 2 of the last 4", "bank 1 of the last 4", "no source 1 of the last 4", "ship", "audit"):
        assert said in words


def test_a_registered_type_that_nobody_published_has_a_schema(client: TestClient, known: EventService) -> None:
    told = TypeProfile.model_validate(client.get(f"{API}/types/user.login").json())
    assert (told.model, told.publishers) == ("UserSession", {})
    assert sorted(told.subscribers) == ["audit", "mail"]
    assert told.payload is not None
    assert "user_id" in told.payload["properties"]


def test_all_types_are_listed_with_who_wants_each(client: TestClient, browser: Browser, known: EventService) -> None:
    told = {one["event_type"]: TypeStanding.model_validate(one) for one in client.get(f"{API}/types").json()}
    assert list(told) == sorted(told)
    assert sorted(told["order.paid"].subscribers) == ["audit", "ship"]
    assert (told["note.taken"].subscribers, told["note.taken"].model) == (["audit"], None)
    assert told["user.login"].model == "UserSession"
    listed = [one["href"] for one in browser.open("/types").of("a") if str(one["href"]).startswith("/types/")]
    assert listed == [f"/types/{name}" for name in told]


@pytest.mark.parametrize("name", ["order.unheard", "nonsense", "Not A Type", "%3Cscript%3E"])
def test_a_type_that_nobody_knows_is_not_found(client: TestClient, known: EventService, name: str) -> None:
    answer = client.get(f"{API}/types/{name}")
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFoundError")


def test_the_caller_is_told_what_they_may_do(events: EventService, guarded: Any) -> None:
    found = [
        About.model_validate(client.get(f"{API}/about").json())
        for client in (
            client_of(guarded, token=TOKEN),
            client_of(guarded, token=VIEWER_TOKEN),
            client_of(dashboard(events, token=TOKEN, read_only=True), token=TOKEN),
        )
    ]
    assert [(one.role.value, one.may_change) for one in found] == [
        ("operator", True), ("viewer", False), ("operator", False)
    ]  # fmt: skip
    assert {(one.bus, one.posts_alerts) for one in found} == {(events.settings.name, False)}


def test_what_is_wrong_is_the_same_on_the_overview_among_alerts_and_by_http(
    client: TestClient, browser: Browser, events: EventService
) -> None:
    """A process that died, or a forged message, is judged by no rule, and is nothing to be silent about."""
    events.bus.system.warn("process:7", "process 7 is gone without a word; its log tells why", lasts="1h")
    assert events.bus.system.flush(60)
    [told] = client.get(f"{API}/alerts").json()
    assert (told["key"], told["rule"]) == ("process:7", "process")
    for page in ("/", "/alerts"):
        assert "process 7 is gone without a word" in browser.open(page).words
        assert "Nothing is wrong" not in browser.open(page).words


def _handle(event: Event) -> None:
    """Do nothing."""
