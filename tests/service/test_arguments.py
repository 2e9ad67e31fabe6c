"""What publish and schedule say to an argument that they do not know, and to durations that cannot be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventService
from eventsys.errors import EventsysError, InvalidDurationError

Call = Callable[..., Any]


def _apublish(events: EventService) -> Call:
    return lambda *args, **given: asyncio.run(events.apublish(*args, **given))


def _many(events: EventService) -> Call:
    return lambda event_type, **given: events.publish_many([{"event_type": event_type, **given}])


def _schedule_many(events: EventService) -> Call:
    return lambda event_type, **given: events.delayed.schedule_many([{"event_type": event_type, **given}])


CALLS: dict[str, Callable[[EventService], Call]] = {
    "publish": lambda events: events.publish, "publish_async": lambda events: events.publish_async,
    "apublish": _apublish, "publish_many": _many, "schedule": lambda events: events.schedule,
    "schedule_many": _schedule_many,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_slip_is_told_with_the_call_and_the_argument_that_was_meant(events: EventService, name: str) -> None:
    more = {"delay": "1h"} if "schedule" in name else {}
    with pytest.raises(TypeError) as caught:
        CALLS[name](events)("a.b", prioirty=8, **more)
    place = "item 1: " if name.endswith("_many") else ""
    assert str(caught.value) == f"{place}{name}() takes no argument 'prioirty'; did you mean 'priority'?"
    assert events.get_metrics().total_events == events.delayed.get_pending_count() == 0


def test_what_only_another_call_takes_leads_there(events: EventService) -> None:
    with pytest.raises(TypeError, match=r"^publish\(\) takes no argument 'delay'; schedule\(\) keeps"):
        events.publish("a.b", delay="1h")  # type: ignore[call-arg]


def test_what_is_like_nothing_is_answered_with_all_there_is(events: EventService) -> None:
    with pytest.raises(TypeError, match=r"takes no argument 'zz'; it takes caused_by, .*, immediately, .*, window"):
        events.publish("a.b", zz=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("call", ["publish_many", "schedule_many"])
def test_one_of_many_without_its_type_is_told_so(events: EventService, call: str) -> None:
    many = events.publish_many if call == "publish_many" else events.delayed.schedule_many
    with pytest.raises(TypeError, match=rf"{call}\(\) takes no argument 'type'; did you mean 'event_type'\?"):
        many([{"type": "a.b", "payload": {}}])
    with pytest.raises(TypeError, match=rf"{call}\(\) needs the 'event_type' of each event; one has \['payload'\]"):
        many([{"payload": {}}])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"event_type": "a b", "delay": "1h"}, "event type 'a b' has whitespace"),
        ({"event_type": "a.b", "delay": "11 years"}, "'11 years' is not a duration"),
        ({"event_type": "a.b", "delay": "1h", "key": ""}, "key"),
        ({"event_type": "a.b", "delay": "1h", "payload": {"x": object()}}, r"payload\.x is of type object"),
    ],
)
def test_of_many_to_schedule_the_one_that_will_not_do_is_named(events: EventService, given: Any, said: str) -> None:
    good = {"event_type": "a.b", "delay": "1h"}
    with pytest.raises(EventsysError, match=rf"^item 2 of schedule_many: .*{said}"):
        events.delayed.schedule_many([good, given, good])
    assert events.delayed.get_pending_count() == 0


def test_an_error_of_another_kind_stays_what_it_is(events: EventService) -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise TypeError("it is odd")

        __hash__ = object.__hash__

    with pytest.raises(TypeError, match="it is odd"):
        events.publish(Event.model_construct(), priority=Odd())  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["retry_delay", "expire_after", "window"])
@pytest.mark.parametrize("value", ["0.5ms", 0.0005, 1e-7])
def test_a_duration_that_cannot_be_kept_is_refused(events: EventService, option: str, value: Any) -> None:
    with pytest.raises(InvalidDurationError, match=f"{option} will not do: .* is shorter than a"):
        events.publish("a.b", idempotency_key="k", **{option: value})
    assert events.get_metrics().total_events == 0


def test_a_delay_that_is_misspelt_is_not_taken_for_a_missing_one(events) -> None:
    with pytest.raises(TypeError, match=r"schedule_many\(\) takes no argument 'dely'; did you mean 'delay'\?"):
        events.delayed.schedule_many([{"event_type": "a.b", "dely": "5m"}])
