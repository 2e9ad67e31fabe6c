"""What led to what, and the history written out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventFilter, EventService, ExportForm, NotFoundError, Trace
from eventsys.model.cloudevents import from_cloudevent
from eventsys.store.delayed_entries import bucket_of
from tests.dashboard.test_round_trips import counted
from tests.support.histories import Historian
from tests.support.waiting import eventually

Work = Callable[..., Any]

T0 = 1_800_000_000_000


def _drawn(trace: Trace) -> list[str]:
    return [f"{node.guide}{node.event.type}{' …' if node.is_delayed else ''}" for node in trace.nodes]


@pytest.mark.redis62
def test_a_trace_shows_events_deliveries_and_delayed_children_behind_their_causes(
    events: EventService, quick_work: Work
) -> None:
    @events.on("order.placed", name="order")
    def order(event: Event) -> None:
        events.publish("stock.taken", {}, id="s")
        events.publish("mail.sent", {})
        events.schedule("order.reminded", {}, delay="1h", id="r")

    @events.on("stock.taken", name="stock")
    def stock(event: Event) -> None:
        events.publish("stock.low", {})

    quick_work()
    placed = events.publish("order.placed", {})
    chain = EventFilter(correlation_id=placed.id)
    eventually(lambda: [one.status.is_final for one in events.get_event_records(chain).items] == [True] * 4)
    trace = events.store.trace("s")
    assert trace == events.store.trace(placed.id)
    assert _drawn(trace) == [
        "order.placed",
        "├─ stock.taken",
        "│  └─ stock.low",
        "├─ mail.sent",
        "└─ order.reminded …",
    ]
    assert (trace.correlation_id, trace.is_complete) == (placed.id, True)
    assert [node.event.type for node in trace.children_of("s")] == ["stock.low"]
    assert trace.nodes[0].event.deliveries[0].subscription == "order"
    events.cancel("r")
    assert _drawn(events.store.trace(placed.id))[-1] == "└─ mail.sent"
    assert events.broker.link.call("EXISTS", events.broker.keys.delayed_chain(placed.id)) == 0
    assert Trace.model_validate_json(trace.model_dump_json()) == trace


def test_a_delayed_event_that_fired_stands_in_its_chain_once(events: EventService, quick_work: Work) -> None:
    @events.on("a.b", name="h")
    def handler(event: Event) -> None:
        events.schedule("a.late", {}, delay="30ms", id="late")

    quick_work()
    first = events.publish("a.b", {})
    eventually(lambda: events.store.status_of("late") is not None)
    events.wait("late")
    assert _drawn(events.store.trace(first.id)) == ["a.b", "└─ a.late"]


def test_a_lone_event_is_its_own_trace_and_nothing_is_none(events: EventService) -> None:
    event = events.publish("a.b", {})
    assert _drawn(events.store.trace(event.id)) == ["a.b"]
    delayed = events.schedule("a.c", {}, delay="1h")
    assert _drawn(events.store.trace(delayed.id)) == ["a.c …"]
    with pytest.raises(NotFoundError, match="neither a chain nor an event 'x'"):
        events.store.trace("x")


def test_causes_that_lead_in_a_circle_are_cut_and_lost_ones_are_marked(events: EventService) -> None:
    def publish(event_id: str, cause: str) -> None:
        given = {"id": event_id, "type": "a.b", "payload": {}, "time": "2026-01-31T12:00:00Z", "correlation_id": "c"}
        events.publish_many([Event.model_validate({**given, "causation_id": cause})])

    for event_id, cause in (("a", "b"), ("b", "a"), ("self", "self"), ("lost", "gone")):
        publish(event_id, cause)
    trace = events.store.trace("c")
    assert [(node.event.id, node.depth, node.is_orphan) for node in trace.nodes] == [
        ("self", 0, False), ("lost", 0, True), ("a", 0, False), ("b", 1, False),
    ]  # fmt: skip


def test_a_long_chain_is_shown_as_far_as_asked_for(events: EventService) -> None:
    historian = Historian(events)
    for number in range(30):
        historian.store("a.b", T0 + number, chain="c")
    trace = events.store.trace("c", most=10)
    assert (len(trace.nodes), trace.is_complete) == (10, False)
    assert [node.event.id for node in trace.nodes] == [f"e{n}" for n in range(1, 11)]


def _schedule_in_chain(events: EventService, first: int, count: int) -> None:
    for number in range(first, first + count):
        events.schedule("a.late", {}, delay="1h", id=f"late{number:02}", correlation_id="c")


def test_a_trace_says_that_more_of_its_chain_waits_than_was_asked_for(events: EventService) -> None:
    """Those that wait were cut, and the trace called itself complete; it had up to twice as many as were asked for."""
    _schedule_in_chain(events, 0, 10)
    assert (len(events.store.trace("c", most=10).nodes), events.store.trace("c", most=10).is_complete) == (10, True)
    assert (len(events.store.trace("c", most=9).nodes), events.store.trace("c", most=9).is_complete) == (9, False)
    historian = Historian(events)
    for number in range(5):
        historian.store("a.b", T0 + number, chain="c")
    for most, delayed, is_complete in ((15, 10, True), (14, 9, False), (5, 0, False), (4, 0, False)):
        trace = events.store.trace("c", most=most)
        assert (len(trace.nodes), sum(node.is_delayed for node in trace.nodes)) == (min(most, 5) + delayed, delayed)
        assert trace.is_complete is is_complete


def test_a_trace_costs_no_more_round_trips_where_more_waits(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = []
    for first, count in ((0, 2), (2, 38)):
        _schedule_in_chain(events, first, count)
        with counted(monkeypatch) as counts:
            assert len(events.store.trace("c").nodes) == first + count
        trips.append(len(counts))
    assert trips[0] == trips[1]


def test_of_what_waits_in_a_chain_one_that_cannot_be_read_hides_no_other(events: EventService) -> None:
    _schedule_in_chain(events, 0, 3)
    link, keys = events.broker.link, events.broker.keys
    member = link.call("HGET", keys.delayed_ids(bucket_of("late01")), "late01")
    [bodies] = [one for one in (keys.delayed_bodies, keys.delayed_far_bodies) if link.call("HEXISTS", one, member)]
    link.call("HSET", bodies, member, b"\xc1")
    assert [node.event.id for node in events.store.trace("c").nodes] == ["late00", "late02"]


@pytest.mark.redis62
def test_an_export_resumes_behind_its_last_batch_and_goes_on_to_what_came_later(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsys.store.chronicle._FIRST_READ", 7)
    monkeypatch.setattr("eventsys.store.chronicle.next_size", lambda size, _found: size)
    historian = Historian(events)
    for number in range(20):
        historian.store("a.b" if number % 2 else "a.c", T0 + number // 5, priority=(1, 5)[number % 2])
    first = next(events.store.export())
    lines = [json.loads(line) for line in first.data.splitlines()]
    assert [line["id"] for line in lines] == [f"e{n}" for n in range(1, first.events + 1)]
    assert (0 < first.events < 20, lines[0]["status"], lines[0]["deliveries"]) == (True, "pending", [])
    historian.store("a.b", T0 + 9)
    rest = list(events.store.export(EventFilter(order="oldest", cursor=first.cursor)))
    ids = [json.loads(line)["id"] for batch in rest for line in batch.data.splitlines()]
    assert ids == [f"e{n}" for n in range(first.events + 1, 22)]
    historian.store("a.b", T0 + 10)
    [late] = events.store.export(EventFilter(order="oldest", cursor=rest[-1].cursor))
    assert json.loads(late.data)["id"] == "e22"
    assert list(events.store.export(EventFilter(order="oldest", cursor=late.cursor))) == []


def test_an_export_as_cloudevents_is_read_back_as_the_same_events(events: EventService) -> None:
    published = [events.publish("a.b", {"n": n}, source="web") for n in range(3)]
    events.publish("b.b", {})
    [batch] = events.store.export(EventFilter(types=("a.*",), order="oldest"), form=ExportForm.CLOUDEVENTS)
    now = events.broker.clock.now()
    read = [from_cloudevent(one, now=now) for one in json.loads(batch.data)]
    assert [one.model_dump() for one in read] == [one.model_dump() for one in published]
    assert batch.events == 3
