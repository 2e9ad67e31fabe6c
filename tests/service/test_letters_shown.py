"""What a dead letter shows: the event of whatever was one, and as it came what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from eventsys import EventService
from eventsys.model.masking import MASK, shown_model
from tests.support.entries import add_entry
from tests.support.fixtures import plain_and_sealed
from tests.support.waiting import eventually

pytestmark = plain_and_sealed()

Work = Callable[..., Any]


class Payment(BaseModel):
    """A payload with a secret in it."""

    card: str = Field(json_schema_extra={"secret": True})


def test_what_could_not_be_handled_shows_its_event_and_for_whom_it_was(events: EventService, quick_work: Work) -> None:
    events.on("a.b", name="h")(lambda event: None)
    quick_work()
    drafted = events.bus.drafter.draft("a.b", {"n": 1})
    lane = events.broker.keys.lane("tests", 5)
    add_entry(events.broker, lane, "s", "h", "e", drafted.envelope, "o", "{")
    [letter] = eventually(lambda: events.dead_letters.list().items)
    assert (letter.reason, letter.subscription, letter.type) == ("undecodable", "h", "a.b")
    assert letter.event is not None
    assert (letter.event.id, letter.event.payload, letter.content) == (drafted.event.id, {"n": 1}, {})


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_event_that_cannot_be_read_is_shown_as_it_came_without_its_secrets(
    events: EventService, quick_work: Work, is_whole: bool
) -> None:
    events.type("a.b", Payment)
    events.on("a.b", name="h")(lambda event: None)
    quick_work()
    envelope = events.bus.drafter.draft("a.b", {"card": "4111"}).envelope
    spoilt = envelope.replace('"time":"', '"time":"no ') if is_whole else envelope[:-1]
    add_entry(events.broker, events.broker.keys.lane("tests", 5), "s", "h", "e", spoilt)
    [letter] = eventually(lambda: events.dead_letters.list().items)
    assert (letter.event, letter.content) == (None, {"s": "h", "e": spoilt})
    shown = shown_model(letter).content
    assert shown["s"] == "h"
    assert "4111" not in shown["e"]
    assert MASK in shown["e"]
    assert (shown["e"] == MASK) is not is_whole
