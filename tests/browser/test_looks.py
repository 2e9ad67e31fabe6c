"""Every page in both themes, on a telephone and on a large screen: nothing sticks out, and nobody is kept out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKS = (Path(__file__).parent / "accessibility.js").read_text()

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

#: Themes and widths; and where the checks are made, which take longer than looking whether something sticks out.
SIZES = (("light", 1920, True), ("light", 1280, False), ("dark", 768, False), ("dark", 360, True))

#: What the keyboard must reach.
CONTROLS = "main input:not([type=hidden]), main select, main textarea, main summary, main button, main a"


def open_place(page: Any, url: str, name: str) -> None:
    if name in PLACES:
        page.goto(url + PLACES[name])
    else:
        where, begins = LINKS[name]
        page.goto(url + where)
        page.goto(url + page.locator(f'main td a[href^="{begins}"]').first.get_attribute("href"))


@pytest.mark.parametrize("name", [*PLACES, *LINKS])
def test_nothing_sticks_out_and_nobody_is_kept_out(shop_url: str, new_page: Callable[..., Any], name: str) -> None:
    faults: list[str] = []
    page = new_page(width=1920)
    open_place(page, shop_url, name)
    for theme, width, is_checked in SIZES:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += [f"{theme} {width}: the page is {wide} pixels too wide"] * (wide > 0)
        faults += [f"{theme} {width}: {one}" for one in page.evaluate(CHECKS)] if is_checked else []
    assert not faults


def test_the_two_themes_are_two(shop_url: str, new_page: Callable[..., Any]) -> None:
    grounds = []
    for theme in ("light", "dark"):
        page = new_page(theme=theme)
        page.goto(shop_url)
        grounds.append(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 247, 249)", "rgb(18, 22, 29)"]


def test_the_keyboard_reaches_the_content_and_every_control(shop_url: str, page: Any) -> None:
    page.goto(f"{shop_url}/cron-form?name=stock-check")
    page.locator("details").evaluate("(one) => { one.open = true; }")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] > 0
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
    controls = page.evaluate(f"() => document.querySelectorAll('{CONTROLS}').length")
    reached, places = set(), []
    for _ in range(controls + 20):
        page.keyboard.press("Tab")
        at = page.evaluate(
            f"""() => {{
              const one = document.activeElement;
              if (!one.closest("main")) return null;
              const all = [...document.querySelectorAll("{CONTROLS}")];
              return [all.indexOf(one), getComputedStyle(one).outlineStyle];
            }}"""
        )
        if at is None:
            break
        if at[0] >= 0:
            reached.add(at[0])
            places.append(at[0])
            assert at[1] != "none", at
    assert len(reached) == controls
    assert places == sorted(places)
