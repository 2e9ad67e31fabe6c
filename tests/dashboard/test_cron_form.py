"""The form of a cron task: what a field that was left empty means."""

from __future__ import annotations

import dramatiq

from eventsys import EventService
from eventsys.dashboard.cron_form import fields_in
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


def test_the_last_secret_field_can_be_taken_back(browser: Browser, events: EventService) -> None:
    """A field that was emptied was taken for one that says nothing, so the last name stayed."""
    events.cron.create("backup", "@daily", "backup.due", {"target": "tape"}, secret_fields=["target"])
    browser.send(
        "/cron-form?name=backup", "/cron-form", schedule="@hourly", secret_fields="", payload='{"target": "a"}'
    )
    task = events.cron.get("backup")
    assert (task.schedule, task.payload, task.secret_fields) == ("@hourly", {"target": "a"}, None)


def test_a_form_without_the_secret_fields_keeps_them(browser: Browser, events: EventService) -> None:
    events.cron.create("backup", "@daily", "backup.due", {"target": "tape"}, secret_fields=["target"])
    assert fields_in({"schedule": "@hourly", "event_type": "backup.due"})["secret_fields"] is None
    events.cron.update("backup", schedule="@hourly", secret_fields=None)
    assert events.cron.get("backup").secret_fields == ("target",)
