"""A browser that looks at the dashboard, and complains of whatever a page did wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from eventsys import EventService
from eventsys.dashboard import dashboard
from eventsys.testing import EventHarness, SessionRedis
from tests.browser.presses import Watched
from tests.browser.seeding import BEGINS, Shop
from tests.browser.serving import browser, chromium, served

#: Without a browser these tests are left out, with a line that says so; CI has one, and fails without.
collect_ignore_glob = [] if chromium() or os.environ.get("CI") else ["test_*.py"]
collect_ignore = [] if os.environ.get("EVENTSYS_TEST_AXE") else ["test_axe.py"]

#: A name that leads to this machine, as one does whose owner has it lead here (DNS rebinding).
FOREIGN = "evil.example"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    """Chromium, for which a foreign name leads to this machine."""
    with browser(f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1") as started:
        yield started


@pytest.fixture
def watched(events: EventService) -> Watched:
    """The dashboard of a bus of the test's own, and what is pressed on it."""
    return Watched(dashboard(events))


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    """Where that dashboard is served."""
    with served(watched) as address:
        yield address


@pytest.fixture(scope="module")
def shop_url(harness_redis: SessionRedis) -> Iterator[str]:
    """The dashboard of a shop that has been at work for a while."""
    events = EventService(redis_url="redis://127.0.0.1:1/0", app="shop", name="shop")
    with (
        EventHarness(events, redis=harness_redis, start=BEGINS) as harness,
        served(dashboard(events)) as address,
    ):
        Shop(events, harness).work(minutes=12)
        yield address


@pytest.fixture
def new_page(chrome: Any) -> Iterator[Callable[..., Any]]:
    """Open pages; at the end none may have had an error, broken its policy, or opened a dialog."""
    wrong: list[str] = []
    with ExitStack() as opened:

        def make(*, width: int = 1280, theme: str = "light", **options: Any) -> Any:
            size = {"width": width, "height": 900}
            context = chrome.new_context(
                color_scheme=theme, viewport=size, locale="en-GB", reduced_motion="reduce", **options
            )
            opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
            page.on("console", lambda said: wrong.append(f"{page.url}: {said.text}") if _is_wrong(said) else None)
            page.on(
                "dialog", lambda dialog: (wrong.append(f"{page.url}: a dialog, {dialog.message}"), dialog.dismiss())
            )
            return page

        yield make
    assert not wrong


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    """One page."""
    return new_page()


def _is_wrong(said: Any) -> bool:
    # An answer that is meant to be 404 or 422 is a line in the console of the browser too.
    return said.type in {"error", "warning"} and "Failed to load resource" not in said.text
