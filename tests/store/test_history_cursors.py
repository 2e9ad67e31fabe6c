"""Cursors of the history: those that lead on, and those that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import EventFilter, EventService, EventStatus, InvalidCursorError
from eventsys.clock import from_ms
from tests.support.histories import Historian
from tests.support.trimming import retention_of

T0 = 1_800_000_000_000


def _ids(page: Any) -> list[str]:
    return [one.id for one in page.items]


@pytest.fixture
def after_each_count(events: EventService, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Have something happen behind the back of a query, each time that it has counted."""

    def follow(then: Callable[[], Any]) -> None:
        link = events.store.history._link
        run = link.run

        def run_and_follow(script: Any, *arguments: Any) -> Any:
            reply = run(script, *arguments)
            if script.name == "count_range":
                then()
            return reply

        monkeypatch.setattr(link, "run", run_and_follow)

    return follow


@pytest.mark.parametrize("types", [(), ("a.x", "b.x")])
def test_what_is_stored_while_the_streams_are_read_one_by_one_is_found_behind_the_cursor(
    events: EventService, historian: Historian, monkeypatch: pytest.MonkeyPatch, types: tuple[str, ...]
) -> None:
    historian.store("a.x", T0, priority=10)
    link, meanwhile = events.store.history._link, ["b.x", "a.x"]
    pipeline = link.pipeline

    def read_slowly(commands: Any) -> list[Any]:
        replies = []
        for command in commands:
            replies += pipeline([command])
            if command[0] == "XRANGE" and "COUNT" in command and len(meanwhile) == 2:
                while meanwhile:
                    lane = 10 if len(meanwhile) == 2 else 5
                    historian.store(meanwhile.pop(), T0 + 3 - lane // 5, priority=lane)
        return replies

    monkeypatch.setattr(link, "pipeline", read_slowly)
    found: list[str] = []
    for batch in events.store.export(EventFilter(order="oldest", types=types)):
        found += [json.loads(line)["id"] for line in batch.data.splitlines()]
        cursor = batch.cursor
    for batch in events.store.export(EventFilter(order="oldest", types=types, cursor=cursor)):
        found += [json.loads(line)["id"] for line in batch.data.splitlines()]
    assert found == ["e1", "e2", "e3"]


@pytest.mark.parametrize("wanted", [{}, {"types": ("a.b",)}, {"status": "failed"}, {"correlation_id": "c"}])
def test_a_cursor_of_nothing_is_refused(events: EventService, historian: Historian, wanted: Any) -> None:
    historian.store("a.b", T0, chain="c")
    with pytest.raises(InvalidCursorError, match="'x-y' is no cursor"):
        events.get_event_records(EventFilter(cursor="x-y", **wanted))


def test_the_total_behind_a_cursor_does_not_pass_for_that_of_all_pages(
    events: EventService, historian: Historian
) -> None:
    for number in range(10):
        historian.store("a.b", T0 + number, source="s")
    first = events.get_event_records(EventFilter(sources=("s",), page_size=6))
    assert (first.total, first.total_is_exact) == (10, True)
    last = events.get_event_records(EventFilter(sources=("s",), page_size=6, cursor=first.next_cursor))
    assert (len(last.items), last.total, last.total_is_exact, last.next_cursor) == (4, 4, False, None)


@pytest.mark.parametrize("types", [(), ("a.b",)])
def test_a_cursor_from_outside_the_times_asked_for_leads_to_none_outside(
    events: EventService, historian: Historian, types: tuple[str, ...]
) -> None:
    for number in range(6):
        historian.store("a.b", T0 + number)
    times: Any = {"start_time": from_ms(T0 + 1), "end_time": from_ms(T0 + 3), "types": types}
    behind, before = f"{T0 + 5}-0", f"{T0}-0"
    assert _ids(events.get_event_records(EventFilter(cursor=behind, **times))) == ["e3", "e2"]
    assert _ids(events.get_event_records(EventFilter(cursor=before, order="oldest", **times))) == ["e2", "e3"]


@pytest.mark.parametrize(
    "cursor", ["1-99999999999999999999", "99999999999999999999-0", "5--3", "-5-0", "1_0-0", "\u0663-0", "", " 5-0"]
)
@pytest.mark.parametrize("wanted", [{}, {"types": ("a.b",)}, {"sources": ("s",)}, {"correlation_id": "c"}])
def test_a_cursor_that_redis_would_not_take_is_refused_as_one_of_nothing(
    events: EventService, historian: Historian, wanted: Any, cursor: str
) -> None:
    for _ in range(2):
        historian.store("a.b", T0, source="s", chain="c")
    for order in ("newest", "oldest"):
        with pytest.raises(InvalidCursorError, match="is no cursor of this query"):
            events.get_event_records(EventFilter(cursor=cursor, order=order, **wanted))


@pytest.mark.parametrize("cursor", ["\u0663:e1", "", ":", "1e5:x", "nan:x", f"{'9' * 400}:x"])
def test_a_cursor_of_a_status_that_redis_would_not_take_is_refused(
    events: EventService, historian: Historian, cursor: str
) -> None:
    with pytest.raises(InvalidCursorError, match="is no cursor of this query"):
        events.get_event_records(EventFilter(status=EventStatus.FAILED, cursor=cursor))


@pytest.mark.redis62
@pytest.mark.parametrize("types", [(), ("a.b",)])
@pytest.mark.parametrize("burst", [1, 30])
def test_a_page_is_found_however_many_events_arrive_meanwhile(
    events: EventService, historian: Historian, after_each_count: Any, types: tuple[str, ...], burst: int
) -> None:
    for number in range(60):
        historian.store("a.b", T0 + number // 3)
    after_each_count(lambda: [historian.store("a.b", T0 + 100) for _ in range(burst)])
    page = events.get_event_records(EventFilter(types=types, page=2, page_size=10))
    # The events of the first burst were there when the page was looked for.
    newest = 60 + burst - 10
    assert _ids(page) == [f"e{number}" for number in range(newest, newest - 10, -1)]


@pytest.mark.redis62
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_page_is_found_however_many_events_leave_the_history_meanwhile(
    events: EventService, historian: Historian, after_each_count: Any, order: str
) -> None:
    for number in range(250):
        historian.store("a.b", T0 + number // 50)
    historian.dispatch(T0 + 10, count=250)
    left = iter(range(235, 100, -15))
    after_each_count(lambda: retention_of(events, events=next(left, 100)).trim(T0 + 10, takes_young=True))
    page = _ids(events.get_event_records(EventFilter(order=order, page=3, page_size=20)))
    # Of the oldest, those that left after the page was looked for are missing in it.
    expected = range(210, 190, -1) if order == "newest" else range(151, 151 + len(page))
    assert page
    assert page == [f"e{number}" for number in expected]
