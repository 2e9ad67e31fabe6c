"""Queries of a history that was made at chosen times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsys import EventConflictError, EventFilter, EventService, EventStatus
from eventsys.clock import from_ms
from tests.support.histories import LANES, Historian

T0 = 1_800_000_000_000

TYPES = ("user.login", "user.logout", "order.placed", "system.warning", "cron.task.executed")


def _ids(page: Any) -> list[str]:
    return [one.id for one in page.items]


def _walk(events: EventService, **wanted: Any) -> list[str]:
    """Return the ids on all pages, led by cursors."""
    ids: list[str] = []
    cursor = None
    while True:
        page = events.get_event_records(EventFilter(cursor=cursor, **wanted))
        ids += _ids(page)
        cursor = page.next_cursor
        if cursor is None:
            return ids


_stored = st.tuples(st.sampled_from(TYPES), st.integers(0, 3), st.sampled_from(LANES))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(_stored, max_size=25),
    meanwhile=st.lists(_stored, max_size=10),
    size=st.integers(1, 7),
    order=st.sampled_from(["newest", "oldest"]),
    types=st.sampled_from([(), ("user.*",), ("user.login", "order.placed"), ("system.warning", "user.logout")]),
)
def test_a_walk_by_cursor_skips_and_repeats_nothing_while_events_arrive(
    services: Any, before: Any, meanwhile: Any, size: int, order: str, types: tuple[str, ...]
) -> None:
    events = services.make()
    historian = Historian(events)
    now_ms = T0
    names: list[tuple[str, str]] = []

    def store(one: tuple[str, int, int]) -> None:
        nonlocal now_ms
        event_type, later_ms, lane = one
        now_ms += later_ms
        names.append((historian.store(event_type, now_ms, priority=lane), event_type))

    for one in before:
        store(one)
    fits = [name for name, kind in names if not types or kind in types or ("user.*" in types and kind[:5] == "user.")]
    seen: list[str] = []
    cursor = None
    waiting = list(meanwhile)
    while True:
        page = events.get_event_records(EventFilter(cursor=cursor, page_size=size, order=order, types=types))
        seen += _ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
        if waiting:
            store(waiting.pop())
    expected = fits if order == "oldest" else fits[::-1]
    assert len(seen) == len(set(seen))
    if order == "newest":
        assert seen == expected
    else:
        assert seen[: len(expected)] == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stored=st.lists(_stored, min_size=1, max_size=40),
    size=st.integers(1, 6),
    order=st.sampled_from(["newest", "oldest"]),
    times=st.tuples(st.integers(0, 60), st.integers(1, 60)),
    types=st.sampled_from([(), ("user.*", "system.warning"), ("user.login",)]),
)
def test_every_numbered_page_is_a_slice_of_the_whole(
    services: Any, stored: Any, size: int, order: str, times: tuple[int, int], types: tuple[str, ...]
) -> None:
    events = services.make()
    historian = Historian(events)
    start_ms, end_ms = T0 + times[0], T0 + times[0] + times[1]
    now_ms = T0
    whole: list[str] = []
    for event_type, later_ms, lane in stored:
        now_ms += later_ms
        name = historian.store(event_type, now_ms, priority=lane)
        fits = not types or event_type in types or ("user.*" in types and event_type[:5] == "user.")
        if start_ms <= now_ms < end_ms and fits:
            whole.append(name)
    if order == "newest":
        whole.reverse()
    wanted = {"start_time": from_ms(start_ms), "end_time": from_ms(end_ms), "order": order, "types": types}
    for number in range(1, len(whole) // size + 3):
        page = events.get_event_records(EventFilter(page=number, page_size=size, **wanted))  # type: ignore[arg-type]
        assert _ids(page) == whole[(number - 1) * size : number * size]
        assert (page.total, page.total_is_exact) == (len(whole), True)


@pytest.mark.redis62
def test_totals_beyond_ten_thousand_are_exact_and_deep_pages_are_found(
    events: EventService, historian: Historian
) -> None:
    for number in range(300):
        historian.store("a.b", T0 + number // 60)
    page = events.get_event_records(EventFilter(page=30, page_size=10, order="oldest"))
    assert (page.total, _ids(page)) == (300, [f"e{n}" for n in range(291, 301)])
    page = events.get_event_records(EventFilter(page=31, page_size=10))
    assert (page.total, _ids(page), page.next_cursor) == (300, [], None)


def test_a_scan_returns_a_lower_bound_and_a_cursor_that_leads_on(
    events: EventService, historian: Historian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsys.store.history.MOST_SCANNED", 100)
    for number in range(250):
        historian.store("a.b", T0 + number, source="rare" if number % 50 == 0 else "usual")
    page = events.get_event_records(EventFilter(sources=("rare",), order="oldest", page_size=10))
    assert (_ids(page), page.total, page.total_is_exact) == (["e1", "e51"], 2, False)
    assert _walk(events, sources=("rare",), order="oldest", page_size=10) == [f"e{n}" for n in (1, 51, 101, 151, 201)]
    assert _walk(events, sources=("rare",), page_size=1) == [f"e{n}" for n in (201, 151, 101, 51, 1)]


def test_a_scan_that_finds_enough_leads_on_from_its_last_event(events: EventService, historian: Historian) -> None:
    for number in range(40):
        historian.store("a.b", T0 + number, source="x")
    page = events.get_event_records(EventFilter(sources=("x",), page_size=5, page=2))
    assert _ids(page) == [f"e{n}" for n in (35, 34, 33, 32, 31)]
    page = events.get_event_records(EventFilter(sources=("x",), page_size=5, cursor=page.next_cursor))
    assert _ids(page) == [f"e{n}" for n in (30, 29, 28, 27, 26)]


@pytest.mark.redis62
def test_a_chain_is_found_by_its_correlation_id_from_its_first_event_on(
    events: EventService, historian: Historian
) -> None:
    historian.store("a.b", T0, event_id="root")
    historian.store("a.b", T0 + 1)
    historian.store("a.c", T0 + 2, chain="root", priority=1)
    historian.store("system.warning", T0 + 3, chain="root")
    wanted = {"correlation_id": "root", "order": "oldest"}
    assert _ids(events.get_event_records(EventFilter(**wanted))) == ["root", "e3", "e4"]  # type: ignore[arg-type]
    assert _walk(events, correlation_id="root", page_size=1) == ["e4", "e3", "root"]
    page = events.get_event_records(EventFilter(page=2, page_size=2, **wanted))  # type: ignore[arg-type]
    assert (_ids(page), page.total, page.pages) == (["e4"], 3, 2)
    assert _ids(events.get_event_records(EventFilter(types=("a.*",), **wanted))) == ["root", "e3"]  # type: ignore[arg-type]
    late = EventFilter(correlation_id="root", start_time=from_ms(T0 + 2), end_time=from_ms(T0 + 3))
    assert _ids(events.get_event_records(late)) == ["e3"]


def test_a_chain_may_be_named_after_an_event_that_comes_later(events: EventService, historian: Historian) -> None:
    historian.store("a.b", T0, chain="order-17")
    historian.store("a.b", T0 + 1, event_id="order-17", chain="order-17")
    assert _walk(events, correlation_id="order-17", order="oldest") == ["e1", "order-17"]


def test_a_lone_event_is_a_chain_of_one_and_takes_no_list(events: EventService, historian: Historian) -> None:
    event = events.publish("a.b", {})
    assert _walk(events, correlation_id=event.id) == [event.id]
    assert historian.link.call("EXISTS", historian.keys.chain(event.id)) == 0
    historian.store("a.b", T0, event_id="other", chain="theirs")
    assert _walk(events, correlation_id="other") == []
    assert _walk(events, correlation_id="nobody") == []


def test_a_walk_through_a_status_goes_on_behind_an_event_that_left_it(
    events: EventService, historian: Historian
) -> None:
    for number in range(6):
        historian.store("a.b", T0 + number // 3)
    first = events.get_event_records(EventFilter(status=EventStatus.PENDING, page_size=2))
    assert (_ids(first), first.total) == (["e6", "e5"], 6)
    historian.link.call("ZREM", historian.keys.pending, "e5")
    rest = _walk(events, status=EventStatus.PENDING, page_size=2, order="newest")
    page = events.get_event_records(EventFilter(status=EventStatus.PENDING, page_size=2, cursor=first.next_cursor))
    assert _ids(page) == ["e4", "e3"]
    assert rest == ["e6", "e4", "e3", "e2", "e1"]
    assert _walk(events, status=EventStatus.PENDING, page_size=2, order="oldest") == ["e1", "e2", "e3", "e4", "e6"]
    deep = EventFilter(status=EventStatus.PENDING, page=3, page_size=2)
    assert _ids(events.get_event_records(deep)) == ["e1"]


@pytest.mark.redis62
def test_what_the_system_says_is_in_the_history_once_and_leaves_the_lane_when_dispatched(
    events: EventService, historian: Historian
) -> None:
    historian.store("a.b", T0)
    historian.store("system.warning", T0 + 1)
    historian.store("cron.task.failed", T0 + 2, priority=8)
    assert _walk(events, order="oldest") == ["e1", "e2", "e3"]
    assert historian.dispatch(T0 + 3) == 3
    assert _walk(events, order="oldest") == ["e1", "e2", "e3"]
    assert [historian.link.call("XLEN", historian.keys.log(lane)) for lane in ("5", "8", "system", "cron")] == [
        1,
        0,
        1,
        1,
    ]
    assert events.get_event("e2").status is EventStatus.DELIVERED
    assert events.get_event_records(EventFilter(types=("system.*",))).total == 1
    with pytest.raises(EventConflictError):
        events.publish("system.warning", {"message": "other"}, id="e2")


def test_an_event_stored_twice_is_found_once(events: EventService) -> None:
    for _ in range(2):
        events.publish("cron.task.executed", {"task": "t"}, id="same")
    assert _walk(events) == ["same"]
    assert events.get_event_records(EventFilter()).total == 1


def test_no_numbers_are_lost_between_scripts_that_store_many_and_one(events: EventService) -> None:
    events.publish_many([("a.b", {}), ("a.c", {}), ("a.b", {})])
    events.publish("a.b", {})
    assert events.get_event_records(EventFilter()).total == 4
    assert events.get_event_records(EventFilter(types=("a.b",))).total == 3


def test_times_are_those_of_storing(events: EventService, historian: Historian) -> None:
    historian.store("a.b", T0)
    at = from_ms(T0)
    assert events.get_event_records(EventFilter(end_time=at)).total == 0
    assert events.get_event_records(EventFilter(start_time=at, end_time=at + timedelta(milliseconds=1))).total == 1


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_events_are_found_by_their_ids_in_their_order(services: Any, order: str) -> None:
    events = services.make()
    historian = Historian(events)
    for number in range(9):
        historian.store(TYPES[number % 2], T0 + number, source="even" if number % 2 else "odd")
    asked = ("e7", "e2", "unknown", "e5", "e2", "e4")
    expected = ["e2", "e4", "e5", "e7"] if order == "oldest" else ["e7", "e5", "e4", "e2"]
    page = events.get_event_records(EventFilter(ids=asked, order=order))
    assert (_ids(page), page.total, page.total_is_exact) == (expected, 4, True)
    for size in (1, 2, 3, 4):
        assert _walk(events, ids=asked, order=order, page_size=size) == expected
        pages = [events.get_event_records(EventFilter(ids=asked, order=order, page_size=size, page=n)) for n in (1, 2)]
        assert _ids(pages[0]) + _ids(pages[1]) == expected[: 2 * size]
    assert _ids(events.get_event_records(EventFilter(ids=asked, types=("user.login",), order="oldest"))) == ["e5", "e7"]
    assert _ids(events.get_event_records(EventFilter(ids=asked, sources=("even",)))) == ["e4", "e2"]
    assert _ids(events.get_event_records(EventFilter(ids=asked, correlation_id="e4"))) == ["e4"]
    assert _ids(events.get_event_records(EventFilter(ids=asked, start_time=from_ms(T0 + 4)))) == ["e7", "e5"]
    assert _ids(events.get_event_records(EventFilter(ids=asked, status=EventStatus.FAILED))) == []
    assert set(_ids(events.get_event_records(EventFilter(ids=asked, status=EventStatus.PENDING)))) == set(expected)


@pytest.mark.parametrize("wanted", [{}, {"types": ("user.login",)}, {"correlation_id": "e1"}, {"ids": ("e1",)},
                                    {"status": EventStatus.PENDING}, {"sources": ("x",)}])  # fmt: skip
def test_times_before_1970_are_times_too(services: Any, wanted: Any) -> None:
    events = services.make()
    Historian(events).store("user.login", T0, source="x")
    long_ago = from_ms(-50_000_000_000_000)
    assert _ids(events.get_event_records(EventFilter(start_time=long_ago, **wanted))) == ["e1"]
    assert _ids(events.get_event_records(EventFilter(end_time=long_ago, **wanted))) == []
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    assert _ids(events.get_event_records(EventFilter(start_time=ends[0], end_time=ends[1], **wanted))) == ["e1"]
    assert _ids(events.get_event_records(EventFilter(end_time=ends[0], **wanted))) == []
    assert events.get_delayed_events(EventFilter(start_time=ends[0], end_time=ends[1])).total == 0
