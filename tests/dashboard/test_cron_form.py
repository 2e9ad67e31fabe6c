"""The form of a cron task: what a field that was left empty means."""

from __future__ import annotations

import dramatiq

from eventsys import EventService
from tests.dashboard.browser import Browser


def test_a_task_without_a_queue_is_sent_to_that_of_its_actor(browser: Browser, events: EventService) -> None:
    """It was sent to the queue `default`, which nobody may read."""
    dramatiq.actor(lambda: None, actor_name="mail", queue_name="mails", broker=events.broker)
    fields = {"name": "nightly", "schedule": "@daily", "actor": "mail", "queue": ""}
    assert browser.send("/cron-form", "/cron-form", **fields).status_code == 303
    assert events.cron.get("nightly").queue == "mails"
    browser.send("/cron-form?name=nightly", "/cron-form", **{**fields, "queue": "others"})
    assert events.cron.get("nightly").queue == "others"
    browser.send("/cron-form?name=nightly", "/cron-form", **fields)
    assert events.cron.get("nightly").queue == "mails"
