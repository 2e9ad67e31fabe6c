"""Lists stay small however many there are of what they list, and lead on to the rest or name the command that does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from eventsys import CronRun, Event, EventService, RunOutcome
from eventsys.dashboard.paging import rows_on
from eventsys.model.machinery import InHand, QueueState, WorkerProcess
from eventsys.scheduling.cron import CronService
from eventsys.store import delayed_listing, delayed_pages
from eventsys.store.machinery import Machinery
from tests.dashboard.browser import Browser, Elements
from tests.dashboard.test_page_sizes import WORST, _page
from tests.support.waiting import eventually

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Small(BaseModel):
    """A payload."""

    n: int = 0


def _all_of(browser: Browser, place: str, prefix: str) -> list[str]:
    """Return the names that a list links to, on all its pages; each of those is small."""
    found: list[str] = []
    while place:
        links = Elements(_page(browser.client, place)).of("a")
        found += [str(one["href"]) for one in links if str(one["href"]).startswith(prefix)]
        place = next((str(one["href"]) for one in links if one.get("rel") == "next"), "")
    return found


def test_many_subscriptions_are_shown_by_the_page(browser: Browser, events: EventService) -> None:
    for number in range(62):
        events.on("order.paid", name=f"shop.handlers.of_orders.number_{number:03}")(_handle)
    events.bus.prepare()
    assert len(set(_all_of(browser, "/subscriptions", "/subscriptions/shop."))) == 62
    assert "62 in all" in browser.open("/subscriptions").words


def test_retries_that_were_not_all_counted_are_said_to_be_more(
    browser: Browser, events: EventService, quick_work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed_listing, "_SCANNED_AT_ONCE", 30)

    @events.on("order.paid", name="ship", retry_delay="1h")
    def ship(event: Event) -> None:
        raise RuntimeError("no stock")

    quick_work()
    events.publish_many([("order.paid", {})] * 40)
    eventually(lambda: events.delayed.get_waiting_retries().total == 40)
    assert "40 wait for their next attempt" in browser.open("/delayed").words
    monkeypatch.setattr(delayed_listing, "LONGEST_SCAN_S", 0)
    assert "at least 30 wait for their next attempt" in browser.open("/delayed").words
    monkeypatch.setattr(delayed_pages, "MOST_MESSAGES", 0)
    events.delayed.schedule_many([{"event_type": "step.taken", "payload": {}, "delay": "1m"}] * 30)
    assert "None among what is due first; there may be some behind it" in browser.open("/delayed").words


def test_many_types_are_shown_by_the_page(browser: Browser, events: EventService) -> None:
    for number in range(400):
        events.type(f"shop.{'x' * 90}.number-{number:03}", Small)
    assert len(set(_all_of(browser, "/types", "/types/shop."))) == 400


def test_many_tasks_are_shown_by_the_page_with_how_all_their_runs_failed(
    browser: Browser, events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = CronRun(task="t", run_id="r", outcome=RunOutcome.FAILED, error=WORST * 1_000)
    monkeypatch.setattr(CronService, "newest_runs", lambda _, names, count: {name: [failed] * count for name in names})
    for number in range(45):
        events.cron.create(f"task-{number:02}-{'x' * 60}", "0 6 * * *", f"report.of.number-{number}")
    assert len(set(_all_of(browser, "/cron", "/cron/task-"))) == 45


def test_of_many_troubles_the_first_are_shown(client: TestClient, events: EventService) -> None:
    for number in range(80):
        events.bus.system.warn(f"stock:{number}", WORST * 300, rule="stock")
    assert events.bus.system.flush(60)
    assert "70 more troubles" in _page(client, "/")
    assert "the first 25 of 80" in _page(client, "/alerts")


def test_of_many_processes_and_queues_the_first_are_shown(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"queue-{number}" for number in range(900)]
    processes = [
        WorkerProcess(name=f"host:{n}", host="host.example.com", pid=n, number=n, queues=names, started_at=NOW,
                       lease_ends_in=timedelta(seconds=9), beat_ago=timedelta(seconds=1), running=20)
        for n in range(90)
    ]  # fmt: skip
    held = [InHand(handler="shop.handlers.pay", queue="queue-1", process=one.name, since=timedelta(seconds=1))
            for one in processes for _ in range(20)]  # fmt: skip
    queues = [QueueState(name=name, waiting=1, running=1) for name in names]
    seen = SimpleNamespace(processes=processes, queues=queues, in_hand=lambda: held)
    monkeypatch.setattr(Machinery, "look", lambda _: seen)
    text = _page(client, "/workers")
    assert "the first 40 of 90 processes" in text
    assert "the first 60 of 900 queues" in text
    assert "and 4 more" in text


def test_a_long_chain_of_a_large_event_with_many_deliveries_fits_on_its_page(
    client: TestClient, events: EventService
) -> None:
    first = events.publish("shop.order.placed", {"text": WORST * 10_000}, id="first", headers={"h": WORST * 2_730})
    for number in range(120):
        events.publish("shop.order.status-changed", {"n": number}, caused_by=first)
    assert "There is more" in _page(client, "/events/first")


@pytest.mark.parametrize(
    ("page", "shown", "following"),
    [(1, "abc", 2), (2, "def", 3), (3, "g", None), (4, "", None), (0, "abc", 2), (-7, "abc", 2)],
)
def test_a_page_has_its_rows(page: int, shown: str, following: int | None) -> None:
    rows: Any = rows_on(page, "abcdefg", 3)
    assert rows == (shown, 7, following)
    assert rows_on(1, "abc", 3).following is None


def _handle(event: Event) -> None:
    """Do nothing."""
