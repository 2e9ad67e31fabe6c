"""Records of events that go from one place to another while they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eventsys import EventFilter, EventRecord, EventService, EventStatus, NotFoundError
from tests.support.histories import Historian
from tests.support.trimming import retention_of, trim_all

T0 = 1_800_000_000_000

READERS: dict[str, Callable[[EventService], list[EventRecord[Any]]]] = {
    "get_event": lambda events: [events.get_event("x")],
    "get_events": lambda events: events.store.get_events(["x", "y"]),
    "of_status": lambda events: events.get_event_records(EventFilter(status="pending", order="oldest")).items,
    "trace": lambda events: [node.event for node in events.store.trace("c").nodes],
}


def _after_the_records(events: EventService, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> None:
    """Have something happen as soon as the records of events were asked for the first time."""
    link, record = events.broker.link, events.broker.keys.record("x")
    pipeline, left = link.pipeline, [then]

    def pipeline_and_then(commands: Any) -> Any:
        replies = pipeline(commands)
        if left and any(record in command for command in commands):
            left.pop()()
        return replies

    monkeypatch.setattr(link, "pipeline", pipeline_and_then)


@pytest.mark.parametrize("reader", ["get_event", "get_events", "trace"])
def test_an_event_that_fires_while_it_is_read_is_found(
    events: EventService, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    for event_id in ("x", "y"):
        events.schedule("a.b", delay="1h", id=event_id, correlation_id="c")
    _after_the_records(events, monkeypatch, lambda: events.run_now("x"))
    found = READERS[reader](events)
    assert {one.id: one.status for one in found}["x"] is EventStatus.PENDING


@pytest.mark.redis62
@pytest.mark.parametrize("reader", ["get_event", "get_events", "of_status"])
def test_an_open_event_that_leaves_the_log_while_it_is_read_is_found(
    events: EventService, historian: Historian, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    events.subscribe("a.b", lambda event: None, name="h")
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "h").decode()
    for at, event_id in enumerate(("x", "y")):
        historian.store("a.b", T0 + at, event_id=event_id)
    historian.dispatch(T0 + 2, targets=[number, "h", "somewhere", 0])

    def trim() -> None:
        assert trim_all(retention_of(events, events=1), T0 + 2) == 1
        # Redis gives an entry back with the last of its node.
        historian.link.call("XTRIM", historian.keys.log("5"), "MINID", T0 + 1)

    _after_the_records(events, monkeypatch, trim)
    found = READERS[reader](events)
    assert [one.id for one in found] == ["x", "y"][: len(found)]
    assert found[0].status is EventStatus.PENDING


def test_an_event_that_is_nowhere_is_not_found(events: EventService) -> None:
    assert events.store.get_events(["x", "y"]) == []
    with pytest.raises(NotFoundError):
        events.get_event("x")


def test_an_event_that_ends_as_the_time_to_wait_is_over_has_ended(
    events: EventService, historian: Historian, monkeypatch: pytest.MonkeyPatch
) -> None:
    historian.store("a.b", T0, event_id="x")
    look = events.store.status_of

    def look_and_end(event_id: str) -> EventStatus | None:
        status = look(event_id)
        historian.dispatch(T0 + 1)
        return status

    monkeypatch.setattr(events.store, "status_of", look_and_end)
    assert events.wait("x", 0).status is EventStatus.DELIVERED
