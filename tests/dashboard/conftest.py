"""The dashboard as a client sees it, on the session's Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from eventsys import EventService
from eventsys.dashboard import dashboard

HOME = "http://127.0.0.1:8765"
TOKEN, VIEWER_TOKEN = "operator-token-of-tests", "viewer-token-of-tests!"
JSON = {"content-type": "application/json"}


def client_of(app: Any, *, address: str = "127.0.0.1", token: str | None = None) -> TestClient:
    """Return a client of an application, at an address of its choice."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return TestClient(
        app, base_url=HOME, client=(address, 40000), headers=headers, raise_server_exceptions=False,
        follow_redirects=False,
    )  # fmt: skip


@pytest.fixture
def client(events: EventService) -> TestClient:
    """This machine, where no token is set: it may do everything."""
    return client_of(dashboard(events))


@pytest.fixture
def guarded(events: EventService) -> Any:
    """A dashboard with both tokens."""
    return dashboard(events, token=TOKEN, viewer_token=VIEWER_TOKEN)


@pytest.fixture
def changes(events: EventService) -> Callable[[], list[dict[str, Any]]]:
    """Return the payloads of all `system.change` events so far, the oldest first."""

    def read() -> list[dict[str, Any]]:
        from eventsys import EventFilter

        assert events.bus.system.flush(60)
        page = events.get_event_records(EventFilter(types=("system.change",), order="oldest", page_size=100))
        return [one.payload for one in page.items]

    return read


@pytest.fixture
def browser(client: TestClient) -> Any:
    """A browser on this machine."""
    from tests.dashboard.browser import Browser

    return Browser(client)
