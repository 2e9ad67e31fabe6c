"""Every page in both themes, on a telephone and on a large screen: nothing is cut off, and nobody is kept out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from eventsys import Event, EventService
from tests.dashboard.routes import LOOKS

CHECKS = (Path(__file__).parent / "accessibility.js").read_text()
CUT_OFF = (Path(__file__).parent / "cut_off.js").read_text()

#: Pages that need no name of anything.
PLACES = {
    "overview": "/", "events": "/events", "failed": "/events?status=failed", "delayed": "/delayed",
    "dead-letters": "/dead-letters", "cron": "/cron", "task": "/cron/stock-check", "cron-form": "/cron-form",
    "edit": "/cron-form?name=stock-check", "subscriptions": "/subscriptions",
    "subscription": "/subscriptions/payments.charge", "replays": "/replays",
    "replay": "/replays/confirm?subscription=audit.log", "workers": "/workers", "catalogue": "/types",
    "type": "/types/order.placed", "alerts": "/alerts", "live": "/tail", "many": "/delayed-many/cancel",
    "purge": "/dead-letters/confirm/purge", "unknown": "/events/unknown", "refused": "/delayed?types=Not%20A%20Type",
}  # fmt: skip

#: Links to what has an id of its own: the page they stand on, and how they begin.
LINKS = {"event": ("/events", "/events/"), "dead-letter": ("/dead-letters", "/dead-letters/0")}

#: Widths: those that are promised, and three between, where columns go and tables begin to scroll.
PROMISED, BETWEEN = (360, 1920), (480, 768, 1280)

#: Addresses that are no pages.
NO_PAGES = re.compile(r"/(api/|static/|unknown$|healthz$|readyz$|metrics$|asyncapi.json$)")


def open_place(page: Any, url: str, name: str) -> None:
    if name in PLACES:
        page.goto(url + PLACES[name])
    else:
        where, begins = LINKS[name]
        page.goto(url + where)
        page.goto(url + page.locator(f'main td a[href^="{begins}"]').first.get_attribute("href"))


def test_every_page_is_looked_at() -> None:
    """A page that is new has to be among those above."""
    pages = {path for method, path in LOOKS if method == "GET" and not NO_PAGES.match(path)}
    looked_at = [urlsplit(place).path for place in PLACES.values()] + [f"{begins}x" for _, begins in LINKS.values()]
    assert len(pages) >= 20
    assert [page for page in pages if not any(re.fullmatch(page.replace("x", ".+"), one) for one in looked_at)] == []


@pytest.mark.parametrize("name", [*PLACES, *LINKS])
def test_nothing_sticks_out_is_cut_off_or_keeps_anybody_out(
    shop_url: str, new_page: Callable[..., Any], name: str
) -> None:
    faults: list[str] = []
    page = new_page(width=1920)
    open_place(page, shop_url, name)
    page.locator("details").evaluate_all("(all) => { for (const one of all) one.open = true; }")
    for width in (*PROMISED, *BETWEEN):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += [f"{width}: the page is {wide} pixels too wide"] * (wide > 0)
        faults += [f"{width}: {one}" for one in page.evaluate(CUT_OFF)]
        for theme in ("light", "dark") if width in PROMISED else ():
            page.emulate_media(color_scheme=theme)
            faults += [f"{theme} {width}: {one}" for one in page.evaluate(CHECKS)]
    assert not faults


def test_lists_fit_on_a_telephone_without_being_pushed_about(shop_url: str, new_page: Callable[..., Any]) -> None:
    """Where a list is too wide it scrolls, and whoever does not know sees a part: the lesser columns have to go."""
    page, wide = new_page(width=360), []
    lists = ("overview", "events", "dead-letters", "cron", "subscriptions", "workers", "catalogue", "alerts")
    for name in (*lists, "task"):
        page.goto(shop_url + PLACES[name])
        over = page.locator(".scroll").evaluate_all("(all) => all.map((one) => one.scrollWidth - one.clientWidth)")
        wide += [f"{name}: {over} pixels"] * (max(over) > 0)
    assert wide == []


def test_pages_of_a_bus_on_which_nothing_happened_yet_look_well_too(url: str, new_page: Callable[..., Any]) -> None:
    page, faults = new_page(), []
    for place in ("/", "/events", "/delayed", "/dead-letters", "/cron", "/subscriptions", "/workers", "/types"):
        page.goto(url + place)
        for width, theme in zip(PROMISED, ("dark", "light"), strict=True):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme)
            faults += [f"{place} {width}: {one}" for check in (CHECKS, CUT_OFF) for one in page.evaluate(check)]
    assert not faults


def test_names_as_long_as_they_may_be_are_cut_off_nowhere(
    url: str, new_page: Callable[..., Any], events: EventService, quick_work: Callable[..., Any]
) -> None:
    long = f"order.{'wm' * 56}.paid"
    events.on(long, name=f"handlers.{'n' * 110}", max_retries=0)(_fail)
    quick_work()
    event = events.publish(long, {"text": "W" * 500}, source="s" * 200, correlation_id="c" * 128)
    events.wait(event.id)
    events.schedule(long, {}, delay="1h", source="s" * 200, key="k" * 200)
    events.cron.create("t" * 90, "0 6 * * *", long)
    page, faults = new_page(), []
    for place in ("/", "/events", f"/events/{event.id}", "/delayed", "/dead-letters", "/cron", "/cron/" + "t" * 90,
                  "/subscriptions", f"/subscriptions/handlers.{'n' * 110}", "/types", f"/types/{long}"):  # fmt: skip
        page.goto(url + place)
        for width in PROMISED:
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
            faults += [f"{place} {width}: the page is {wide} pixels too wide"] * (wide > 0)
            faults += [f"{place} {width}: {one}" for one in page.evaluate(CUT_OFF)]
    assert not faults


def test_the_two_themes_are_two(shop_url: str, new_page: Callable[..., Any]) -> None:
    grounds = []
    for theme in ("light", "dark"):
        page = new_page(theme=theme)
        page.goto(shop_url)
        grounds.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 247, 249)", "rgb(18, 22, 29)"]


def _fail(event: Event) -> None:
    raise RuntimeError("e" * 300)
