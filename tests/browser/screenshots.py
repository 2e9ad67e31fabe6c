"""Pictures of the pages, made of a bus that is the same every time: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import Any

from eventsys import EventFilter, EventService
from eventsys.dashboard import dashboard
from eventsys.testing import EventHarness, SessionRedis, server_for_tests
from tests.browser.seeding import BEGINS, Shop
from tests.browser.serving import browser, served

IMAGES = Path(__file__).parents[2] / "docs" / "images"

WIDTH, HEIGHT = 1280, 860

#: The path of each page that is shown, by the name of its picture.
PLACES = {
    "overview": "/", "events": "/events", "event": "/events/{order}", "delayed": "/delayed",
    "dead-letters": "/dead-letters", "dead-letter": "/dead-letters/{letter}", "cron": "/cron",
    "cron-task": "/cron/stock-check", "cron-form": "/cron-form?name=stock-check",
    "subscriptions": "/subscriptions", "subscription": "/subscriptions/payments.charge", "workers": "/workers",
    "catalogue": "/types", "type": "/types/order.placed", "alerts": "/alerts", "live": "/tail",
    "replay": "/replays/confirm?subscription=audit.log&types=order.placed",
}  # fmt: skip

THEMES = ("light", "dark")


def places(events: EventService) -> dict[str, str]:
    """Return the path of each page that is shown, with an order and a dead letter that there are."""
    [order] = events.get_event_records(EventFilter(types=("order.placed",), status="delivered", page_size=1)).items
    letter = events.dead_letters.list().items[0]
    return {name: path.format(order=order.id, letter=letter.id) for name, path in PLACES.items()}


def main() -> None:
    """Take all pictures, light and dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--only", nargs="*", help="names of pictures (default: all)")
    parser.add_argument("--whole", action="store_true", help="the whole page, not what fits on a screen")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    events = EventService(redis_url="redis://127.0.0.1:1/0", app="shop", name="shop")
    with (
        SessionRedis(server_for_tests()) as redis,
        EventHarness(events, redis=redis, start=BEGINS) as harness,
        served(dashboard(events)) as url,
    ):
        # How busy this machine is belongs into no picture.
        events.broker.link.call("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        shop = Shop(events, harness)
        shop.work()
        _take(url, shop, places(events), given)


def _take(url: str, shop: Shop, wanted: dict[str, str], given: argparse.Namespace) -> None:
    names = [name for name in wanted if not given.only or name in given.only]
    with browser() as started:
        # Orders come while the live page is watched, so it is the last of both themes.
        for is_live in (False, True):
            for theme in THEMES:
                size = {"width": given.width, "height": HEIGHT}
                context = started.new_context(color_scheme=theme, viewport=size, locale="en-GB", timezone_id="UTC")
                for name in (one for one in names if (one == "live") is is_live):
                    shop.beat()
                    _picture(context.new_page(), url + wanted[name], shop, given.into / f"{name}-{theme}.png", given)
                context.close()


def _picture(page: Any, url: str, shop: Shop, file: Path, given: argparse.Namespace) -> None:
    page.goto(url)
    if url.endswith("/tail"):
        _fill(page, shop)
    _hide_directory(page)
    page.screenshot(path=file, full_page=given.whole)
    _make_small(file)
    page.close()


def _fill(page: Any, shop: Shop) -> None:
    """Let orders come while the page watches; it begins to in a thread of its own."""
    while page.locator("tbody tr").count() < 15:
        shop.order(4)
        page.wait_for_timeout(200)


def _hide_directory(page: Any) -> None:
    """Tracebacks name files: where this checkout lies differs from one machine to the next."""
    page.evaluate(
        """(directory) => {
          for (const one of document.querySelectorAll("pre")) {
            one.textContent = one.textContent.replaceAll(directory, "");
          }
        }""",
        f"{Path(__file__).parents[2]}/",
    )


def _make_small(file: Path) -> None:
    """Let a picture have a palette: pages have few colours, and the file is a third as large."""
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--ext", ".png", "64", str(file)], check=True)


if __name__ == "__main__":
    main()
