"""Replaying what a search for events has found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from eventsys import EventService, Reject
from tests.dashboard.browser import Browser
from tests.support.waiting import eventually


@pytest.fixture
def failed(events: EventService, quick_work: Callable[..., Any]) -> list[str]:
    """The ids of two events that failed: at `mail`, and at `billing`; `audit` had both."""
    events.on("#", name="audit")(lambda event: None)

    def fail(event: Any) -> None:
        raise Reject("no")

    events.on("mail.*", name="mail")(fail)
    events.on("bill.*", name="billing")(fail)
    quick_work()
    made = [events.publish(event_type, {}).id for event_type in ("mail.wanted", "bill.wanted")]
    for event_id in made:
        events.wait(event_id)
    return made


def test_what_one_subscription_had_is_replayed_and_not_what_others_had(
    browser: Browser, events: EventService, failed: list[str]
) -> None:
    """The form left that field of the search out, so all that failed was given again."""
    page = browser.open("/events?subscription=mail&status=failed")
    assert ("1 event" in page.words, "Replay these" in page.words) == (True, True)
    hidden = {one["name"]: one["value"] for one in page.of("input") if one.get("type") == "hidden"}
    asked = "/replays/confirm?" + urlencode({**hidden, "subscription": "audit"})
    counted = browser.open(asked)
    assert "Replay 1 event to audit?" in counted.words
    assert "delivered tomail" in counted.words
    assert browser.send(asked, "/replays/begin").status_code == 303
    eventually(lambda: events.replays.list()[0].ended_at)
    assert events.replays.list()[0].delivered == 1
    given = [[one.subscription for one in events.get_event(event_id).deliveries] for event_id in failed]
    assert given == [["audit", "mail", "audit#1"], ["audit", "billing"]]
