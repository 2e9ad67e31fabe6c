"""What a dead letter shows: the event of whatever was one, and as it came what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from eventsys import DeadLetter, Event, EventService, EventStatus, RedriveRefusedError
from eventsys.clock import to_ms
from eventsys.model.masking import MASK, shown_model
from eventsys.scheduling.poller import Poller
from tests.support.entries import add_entry
from tests.support.fixtures import plain_and_sealed
from tests.support.waiting import eventually

pytestmark = plain_and_sealed()

Work = Callable[..., Any]
_DAY_MS = 24 * 3_600_000


class Payment(BaseModel):
    """A payload with a secret in it."""

    card: str = Field(json_schema_extra={"secret": True})


def _unfired(events: EventService) -> DeadLetter:
    """Schedule an event that Redis refuses to let go, and return the letter that it becomes."""
    link, keys = events.broker.link, events.broker.keys
    made = events.schedule("a.b", {"n": 1}, delay="1m", key="k", correlation_id="c", idempotency_key="once")
    link.call("SET", keys.type_index("a.b"), "no stream, so nothing can be added")
    _let_go(events, to_ms(made.delay_until))
    return events.dead_letters.show(made.id)


def _let_go(events: EventService, now_ms: int) -> None:
    """Let go what is due at a time, which it is from now on, and give up what cannot go."""
    clock = events.broker.clock
    clock.turn_to(now_ms)
    poller = Poller(events.broker.link, events.broker.keys, clock, process="by-hand", max_retries=0)
    poller.let_go(now_ms)
    poller.stop()


@pytest.mark.redis62
@pytest.mark.parametrize("rate", [None, "1/h"])
def test_an_event_that_did_not_fire_is_shown_and_delivered_once_when_it_is_redriven(
    events: EventService, quick_work: Work, rate: str | None
) -> None:
    got: list[Event] = []
    events.on("a.b", name="h")(got.append)
    letter = _unfired(events)
    assert (letter.reason, letter.type, letter.subscription) == ("unfired", "a.b", None)
    assert letter.event is not None
    assert (letter.event.id, letter.event.payload, letter.content) == (letter.id, {"n": 1}, {})
    with pytest.raises(RedriveRefusedError) as refused:
        events.dead_letters.redrive(letter.id)
    assert refused.value.cause == "unfired"
    assert "WRONGTYPE" in events.dead_letters.show(letter.id).error
    events.broker.link.call("DEL", events.broker.keys.type_index("a.b"))
    clock = events.broker.clock
    clock.turn_to(clock.now_ms() + 3 * _DAY_MS)  # no delivery of it would begin so late, had nobody sent it again
    assert events.dead_letters.redrive_all(rate=rate).redriven == 1
    quick_work()
    record = events.wait(letter.id)
    assert (record.status, [one.id for one in got]) == (EventStatus.DELIVERED, [letter.id])
    assert (record.correlation_id, events.get_delayed_event(letter.id).key) == ("c", "k")
    assert (events.dead_letters.list().total, events.get_metrics().total_events) == (0, 1)


def test_an_event_that_does_not_fire_though_it_was_sent_again_says_how_often(events: EventService) -> None:
    letter = _unfired(events)
    events.dead_letters.redrive_all(rate="1/s")
    _let_go(events, events.broker.clock.now_ms() + 1)
    again = events.dead_letters.show(letter.id)
    assert (again.reason, again.redrives, again.event) == ("unfired", 1, letter.event)


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
