"""What changes by itself: the overview, the live tail, the countdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette

from eventsys import EventService
from eventsys.dashboard import dashboard, live
from tests.browser.serving import served
from tests.dashboard.test_pages import CORPUS, HIDDEN


def test_the_overview_keeps_itself_up_to_date(page: Any, url: str, events: EventService) -> None:
    page.goto(url)
    page.locator("[data-live-state]", has_text="live").wait_for()
    assert page.locator("[data-live=events]").inner_text() == "0"
    for number in range(3):
        events.publish("order.paid", {"n": number})
    page.locator("[data-live=events]", has_text="3").wait_for()
    bars = (
        "() => [...document.querySelectorAll('[data-chart=published] rect')].map((one) => +one.getAttribute('height'))"
    )
    page.wait_for_function(f"() => Math.max(...({bars})()) === 100")
    assert page.locator("[data-chart=published] [data-chart-most]").inner_text() in {"1", "2", "3"}


def test_the_tail_shows_events_as_they_come_and_only_those_asked_for(page: Any, url: str, events: EventService) -> None:
    page.goto(f"{url}/tail")
    page.get_by_label("Types").fill("order.*")
    page.get_by_role("button", name="Follow").click()
    page.wait_for_url("**/tail?types=order.*")
    page.locator("[data-tail-state]", has_text="live").wait_for()
    _publish_until_seen(page, events, "order.first")
    events.publish("user.login", {"user_id": "1"})
    events.publish("order.paid", {}, source="shop")
    row = page.locator("tbody tr", has_text="order.paid").first
    row.wait_for()
    assert "shop" in row.inner_text()
    assert "user.login" not in page.locator("tbody").inner_text()
    page.get_by_role("button", name="Pause").click()
    seen = int(page.locator("[data-tail-count]").inner_text())
    events.publish("order.sent", {})
    page.wait_for_function(f"() => +document.querySelector('[data-tail-count]').textContent === {seen + 1}")
    assert "order.sent" not in page.locator("tbody").inner_text()
    page.get_by_role("button", name="Go on").click()
    link = page.locator("tbody tr", has_text="order.sent").locator("a")
    link.click()
    page.get_by_role("heading", name="order.sent").wait_for()


def test_the_tail_can_be_emptied(page: Any, url: str, events: EventService) -> None:
    page.goto(f"{url}/tail")
    page.locator("[data-tail-state]", has_text="live").wait_for()
    _publish_until_seen(page, events, "order.first")
    page.get_by_role("button", name="Clear").click()
    page.locator("[data-tail-empty]").wait_for()
    assert page.locator("tbody tr").count() == 0


def test_hostile_text_in_the_tail_stays_text(page: Any, url: str, events: EventService) -> None:
    page.goto(f"{url}/tail")
    page.locator("[data-tail-state]", has_text="live").wait_for()
    _publish_until_seen(page, events, "order.first")
    for number, text in enumerate([*CORPUS, HIDDEN]):
        events.publish("order.paid", {}, source=text, id=ascii(f"{number}{text}").replace(" ", "")[:128])
    page.wait_for_function(f"() => document.querySelectorAll('tbody tr').length > {len(CORPUS)}")
    assert page.locator("tbody script, tbody img, tbody svg, tbody style").count() == 0
    shown = page.locator("tbody").inner_text()
    assert all(text in shown for text in CORPUS)
    assert "\u202e" not in page.content()


def test_what_waits_counts_down(page: Any, url: str, events: EventService) -> None:
    events.schedule("order.due", {}, delay="90s")
    page.goto(f"{url}/delayed")
    first = page.locator("[data-due]").inner_text()
    page.wait_for_function(f"() => document.querySelector('[data-due]').textContent !== {first!r}")
    second = page.locator("[data-due]").inner_text()
    page.wait_for_function(f"() => document.querySelector('[data-due]').textContent !== {second!r}")


def test_mounted_below_a_path_pages_forms_and_live_parts_work(page: Any, events: EventService) -> None:
    outer = Starlette()
    outer.mount("/deep/eventsys", dashboard(events))
    with served(outer) as address:
        page.goto(f"{address}/deep/eventsys/")
        page.locator("[data-live-state]", has_text="live").wait_for()
        page.get_by_role("link", name="Catalogue").click()
        page.get_by_role("link", name="user.login").click()
        page.get_by_label("user_id").fill("ada")
        page.get_by_role("button", name="Publish").click()
        page.get_by_text("It was published.").wait_for()
        assert page.url.startswith(f"{address}/deep/eventsys/events/")
        page.goto(f"{address}/deep/eventsys/tail")
        page.locator("[data-tail-state]", has_text="live").wait_for()
        _publish_until_seen(page, events, "order.first")
        page.locator("tbody a").first.click()
        page.get_by_role("heading", name="order.first").wait_for()
        page.goto("about:blank")


@pytest.mark.parametrize("path", ["/", "/tail"])
def test_a_page_is_live_again_when_the_server_is_back(page: Any, events: EventService, path: str) -> None:
    state = page.locator("[data-live-state], [data-tail-state]")
    with served(dashboard(events)) as address:
        page.goto(address + path)
        state.filter(has_text="live").wait_for()
    state.filter(has_text="reconnecting").wait_for()
    with served(dashboard(events), port=int(address.rpartition(":")[2])):
        state.filter(has_text=re.compile("^live")).wait_for()
        page.goto("about:blank")


def test_a_page_for_which_there_was_no_room_says_so_and_is_live_once_there_is(
    page: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.clock.install()
    with monkeypatch.context() as full:
        full.setattr(live, "MOST_WATCHERS", 0)
        page.goto(url)
        state = page.locator("[data-live-state]")
        state.filter(has_text="the server refused").wait_for()
    page.clock.fast_forward(10_000)
    state.filter(has_text=re.compile("^live")).wait_for()


def _publish_until_seen(page: Any, events: EventService, event_type: str) -> None:
    """Publish again until the follower of the log, which begins to follow in a thread of its own, has seen one.

    The last is waited for, so that none comes later.
    """
    seen: Callable[[], int] = page.locator("tbody tr", has_text=event_type).count
    while not seen():
        events.publish(event_type, {})
        page.wait_for_timeout(100)
    events.publish(event_type, {}, source="the-last")
    page.locator("tbody tr", has_text="the-last").wait_for()
