"""Below a path of another application: every address that a page has leads there, and works."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette

from eventsys import Event, EventService
from eventsys.dashboard import dashboard, streaming
from tests.dashboard.browser import HTML, Browser, Elements
from tests.dashboard.conftest import HOME, client_of

BELOW = "/deep/eventsys"

#: Attributes that are addresses.
ADDRESSES = ("href", "src", "action", "formaction", "data-stream", "data-tail", "data-event")


@pytest.fixture
def mounted(events: EventService, quick_work: Callable[..., Any]) -> Any:
    """An application with the dashboard of a bus on which there is something of everything."""

    @events.on("order.*", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        events.publish("parcel.sent", {})
        if event.payload["n"]:
            raise RuntimeError("no stock")

    quick_work()
    for number in range(2):
        events.wait(events.publish("order.paid", {"n": number}).id)
    events.schedule("order.due", {"n": 0}, delay="1h", id="due/1?x#")
    events.cron.create("tidy/up", "@hourly", "tidy.due")
    events.replays.replay("ship", rate=0.001)
    events.bus.system.warn("rates:late", "the rates are two hours old; ask the bank")
    assert events.bus.system.flush(60)
    outer = Starlette()
    outer.mount(BELOW, dashboard(events))
    return outer


def test_every_address_of_every_page_leads_on_below_that_path(mounted: Any) -> None:
    client, found, seen = client_of(mounted), [f"{BELOW}/"], {f"{BELOW}/"}
    shapes: Counter[str] = Counter()
    while found:
        path = found.pop()
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200, path
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        for tag, attributes in Elements(answer.text).tags:
            for address in filter(None, (attributes.get(name) for name in ADDRESSES)):
                assert address == "#main" or address.startswith(f"{BELOW}/"), (path, tag, address)
            onward = attributes.get("href") if tag == "a" else attributes.get("src") if tag == "script" else None
            if onward and onward.startswith("/") and onward not in seen:
                seen.add(onward)
                shapes[_shape(onward)] += 1
                found += [onward] * (shapes[_shape(onward)] <= 2)  # a calendar leads to another month for ever
    kinds = {one.removeprefix(BELOW).split("?")[0].split("/")[1] for one in seen}
    assert kinds >= {"events", "delayed", "dead-letters", "cron", "cron-form", "subscriptions", "replays", "workers",
                     "types", "alerts", "tail", "static", "delayed-many", "asyncapi.json", "api"}  # fmt: skip


def _shape(address: str) -> str:
    """Return an address without what its questions ask for."""
    parts = urlsplit(address)
    return f"{parts.path}?{sorted(parse_qs(parts.query))}"


def test_forms_cookies_and_where_they_lead_are_below_that_path(mounted: Any, events: EventService) -> None:
    browser = Browser(client_of(mounted))
    cookie = browser.client.get(f"{BELOW}/delayed", headers=HTML).headers["set-cookie"]
    assert f"Path={BELOW};" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    for page, action, leads_to in (
        ("/delayed", "/run", "/delayed?done=let-go"), ("/cron", "/run", "/cron/tidy%2Fup?done=running"),
        ("/subscriptions", "/ship/pause", "/subscriptions?done=paused"), ("/replays", "/cancel", "/replays?done=ended"),
        ("/dead-letters", "/redrive", "/dead-letters?done=redriven"), ("/workers", "/pause", "/workers?done=paused"),
    ):  # fmt: skip
        sent = browser.send(BELOW + page, action)
        assert (sent.status_code, sent.headers["location"]) == (303, BELOW + leads_to)
        browser.open(sent.headers["location"])
    assert (
        browser.send(f"{BELOW}/types", "/publish", type="note.taken", json="{}").headers["location"].startswith(BELOW)
    )


def test_the_gate_guards_it_there_too(mounted: Any, events: EventService) -> None:
    client = client_of(mounted)
    foreign = {"origin": "https://evil.example"}
    assert client.post(f"{BELOW}/api/v1/queues/tests/pause", headers=foreign).status_code == 403
    assert client.get(f"{BELOW}/", headers={"host": "evil.example"}).status_code == 421
    assert client_of(mounted, address="192.0.2.7").get(f"{BELOW}/").status_code == 403
    assert client.get(f"{BELOW}/api/v1/about", headers={"origin": HOME}).json()["bus"] == events.settings.name
    assert "default-src 'none'" in client.get(f"{BELOW}/").headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/live", "/tail/events", "/api/v1/tail"])
def test_a_server_that_ends_does_not_wait_for_who_watches(
    events: EventService, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It ended with the browser's window: uvicorn waits for open answers, and tells the application afterwards."""
    monkeypatch.setattr(streaming, "_LOOK_S", 0.01)
    outer = Starlette()
    outer.mount(BELOW, dashboard(events))

    async def end_while_one_watches() -> None:
        server = uvicorn.Server(uvicorn.Config(outer, lifespan="off", log_level="error"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(server.serve([listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(f"GET {BELOW}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await reader.readuntil(b"event: ")
            server.should_exit = True  # as a signal does
            await serving
            writer.close()

    asyncio.run(asyncio.wait_for(end_while_one_watches(), 60))
