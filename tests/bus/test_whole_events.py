"""Publishing events and models as a whole: nothing beside them is dropped, and they take their place in the chain."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from eventsys import Event, EventService, InvalidEventError
from eventsys.testing import EventHarness
from tests.support.payloads import Notification


@pytest.mark.parametrize(
    "more",
    [{"payload": {"n": 2}}, {"source": "other"}, {"priority": 8}, {"max_retries": 0}, {"expire_after": "1h"}],
    ids=str,
)
def test_nothing_may_be_said_beside_an_event_that_exists(events: EventService, more: dict[str, Any]) -> None:
    """It would be dropped without a word."""
    event = events.publish("a.b", {"n": 1})
    with pytest.raises(InvalidEventError, match="an event brings all its fields, and others were given beside it"):
        events.publish(event, **more)
    with pytest.raises(InvalidEventError, match="beside it"):
        events.schedule(event, delay="1h", **more)


def test_no_payload_may_be_given_beside_a_model(events: EventService) -> None:
    events.type("user.notification", Notification)
    with pytest.raises(InvalidEventError, match="a Notification is the payload, and others were given beside it"):
        events.publish(Notification(user_id="1"), {"user_id": "2"})
    assert events.publish(Notification(user_id="1"), source="here").source == "here"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"id": "x" * 129}, "event id has 129 characters"),
        ({"id": "two words"}, "has whitespace"),
        ({"type": "No Type"}, "No Type"),
        ({"source": 5}, "source is text"),
        ({"source": "s" * 513}, "source has 513 characters"),
        ({"source": "\ud800"}, "lone surrogate"),
        ({"time": "now"}, "time is an aware datetime"),
        ({"time": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001 - that is what is wrong
        ({"version": 0}, "whole number from 1"),
        ({"priority": 3}, "priority 3 is unknown"),
        ({"correlation_id": "x" * 129}, "correlation_id has 129"),
        ({"causation_id": ""}, "causation_id has 0"),
        ({"headers": {"a": 1}}, "header 'a' is text"),
        ({"headers": None}, "headers are a dictionary"),
        ({"idempotency_key": "k" * 513}, "idempotency_key has 513"),
        ({"depth": -1}, "whole number from 0"),
    ],
    ids=str,
)
def test_a_copy_that_breaks_a_rule_is_refused_and_not_stored(
    events: EventService, changed: dict[str, Any], says: str
) -> None:
    """Pydantic does not look at what a copy changes, and no worker could read it."""
    waiting = events.schedule("a.b", {}, delay="1h")
    event = Event(id="one", type="a.b", payload={}, time=waiting.time)
    copy = event.model_copy(update=changed)
    for keep in (events.publish, events.publish_async, lambda one: events.schedule(one, delay="1h")):
        with pytest.raises(InvalidEventError, match=says):
            keep(copy)
    with pytest.raises(InvalidEventError, match=f"item 2 of publish_many: .*{says}"):
        events.publish_many([event, copy])
    with pytest.raises(InvalidEventError, match=says):
        events.store.store_delayed_event(waiting.model_copy(update={"id": "later", **changed}))
    assert (events.get_metrics().total_events, events.delayed.get_pending_count()) == (0, 1)


def test_a_copy_with_fewer_than_no_retries_is_refused(events: EventService) -> None:
    waiting = events.schedule("a.b", {}, delay="1h")
    with pytest.raises(InvalidEventError, match="max_retries is -1"):
        events.store.store_delayed_event(waiting.model_copy(update={"id": "later", "max_retries": -1}))


@pytest.mark.parametrize("one", [None, "a.b", ("a.b",), ("a.b", {}, "source"), 5], ids=str)
def test_one_of_many_that_is_no_event_is_refused_with_what_it_may_be(events: EventService, one: Any) -> None:
    with pytest.raises(InvalidEventError, match="each of publish_many is a dictionary of the arguments of publish"):
        events.publish_many([("a.b", {}), one])
    assert events.get_metrics().total_events == 0


@pytest.mark.parametrize(
    ("one", "kind", "says"),
    [
        (("Not a type", {}), InvalidEventError, "Not a type"),
        (("a.b", {"s": {1, 2}}), InvalidEventError, "a.b|set"),
        ({"event_type": "a.b", "paylaod": {}}, TypeError, r"publish_many\(\) takes no argument 'paylaod'"),
        ({"event_type": "a.b", "priority": "urgent"}, ValueError, "priority|urgent"),
    ],
    ids=str,
)
def test_one_of_many_that_is_refused_is_named_by_its_position(
    events: EventService, one: Any, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=rf"^item 3( of publish_many)?: .*({says})"):
        events.publish_many(iter([("a.b", {}), ("a.b", {}), one, ("a.b", {})]))
    assert events.get_metrics().total_events == 0


def test_an_error_of_the_generator_of_many_stays_as_it_is(events: EventService) -> None:
    def rows() -> Any:
        yield ("a.b", {})
        raise TypeError("no such row")

    with pytest.raises(TypeError, match=r"^no such row$"):
        events.publish_many(rows())


def test_an_event_made_by_a_handler_takes_its_place_in_the_chain(harness: EventHarness) -> None:
    events = harness.events

    @events.on("a.b", name="h")
    def handle(event: Event) -> None:
        made = {"payload": {}, "time": event.time}
        events.publish_many(
            [
                Event(id="new", type="c.d", **made),
                Event(id="placed", type="c.d", correlation_id="own", causation_id="other", **made),
            ]
        )

    events.publish("a.b", id="first", correlation_id="chain")
    harness.advance(seconds=1)
    new, placed = events.get_event("new"), events.get_event("placed")
    assert (new.correlation_id, new.causation_id, new.depth) == ("chain", "first", 1)
    assert (placed.correlation_id, placed.causation_id, placed.depth) == ("own", "other", 1)


def test_a_handler_that_publishes_copies_of_its_event_comes_to_an_end(harness: EventHarness) -> None:
    events, seen = harness.events, []

    @events.on("a.b", name="h", max_retries=0)
    def handle(event: Event) -> None:
        seen.append(event.depth)
        if len(seen) < 200:
            events.publish(event.model_copy(update={"id": f"copy-{len(seen)}"}))

    events.publish("a.b", id="first")
    harness.advance(seconds=5)
    assert seen == list(range(events.settings.max_depth + 1))
