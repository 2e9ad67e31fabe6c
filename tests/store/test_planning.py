"""From which index a query is answered that has a status and something else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsys import EventFilter, EventService, EventStatus
from eventsys.clock import from_ms
from eventsys.store import planning
from tests.support.histories import Historian

T0 = 1_800_000_000_000


def _ids(page: Any) -> list[str]:
    return [one.id for one in page.items]


@pytest.fixture
def many(events: EventService, historian: Historian) -> Historian:
    """400 events that are pending; every hundredth is of a chain, and of a type of its own."""
    for number in range(400):
        rare = number % 100 == 7
        historian.store("rare.one" if rare else "a.b", T0 + number, chain="order-17" if rare else None)
    return historian


@pytest.mark.redis62
@pytest.mark.parametrize(
    "wanted", [{"correlation_id": "order-17"}, {"types": ("rare.*",)}, {"ids": ("e8", "e108", "e208", "e308", "x")}]
)
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_few_events_are_found_without_reading_all_that_have_the_status(
    events: EventService, many: Historian, monkeypatch: pytest.MonkeyPatch, wanted: Any, order: str
) -> None:
    read: Counter[str] = Counter()
    link = events.store.history._link
    pipeline = link.pipeline

    def counting(commands: Any) -> Any:
        commands = list(commands)
        read.update(command[0] for command in commands)
        return pipeline(commands)

    monkeypatch.setattr(link, "pipeline", counting)
    page = events.get_event_records(EventFilter(status=EventStatus.PENDING, order=order, **wanted))
    expected = ["e8", "e108", "e208", "e308"]
    assert _ids(page) == (expected if order == "oldest" else expected[::-1])
    assert (page.total, page.total_is_exact) == (4, True)
    assert sum(read.values()) < 60
    walked: list[str] = []
    cursor = None
    while len(walked) < 4:
        page = events.get_event_records(
            EventFilter(status=EventStatus.PENDING, order=order, page_size=1, cursor=cursor, **wanted)
        )
        walked += _ids(page)
        cursor = page.next_cursor
    assert walked == (expected if order == "oldest" else expected[::-1])


def test_a_status_that_few_have_is_read_itself(events: EventService, many: Historian) -> None:
    """The type has 396 events, and one of them failed."""
    many.link.call("ZREM", many.keys.pending, "e3")
    many.link.call("ZADD", many.keys.status_index("failed"), T0 + 2, "e3")
    plan = planning.Planner(many.link, many.keys).plan(EventFilter(status=EventStatus.FAILED, types=("a.b",)), None)
    assert isinstance(plan.lookup, planning.StatusIndex)
    page = events.get_event_records(EventFilter(status=EventStatus.FAILED, types=("a.b",)))
    assert (_ids(page), page.total_is_exact) == (["e3"], True)


def test_what_was_cancelled_before_it_fired_is_found_by_its_chain(events: EventService, many: Historian) -> None:
    """It never was in the log, so only the index of the status has it."""
    for number in range(150):
        events.schedule("a.b", delay="1h", id=f"off-{number}", correlation_id="order-17" if number == 70 else None)
        events.cancel(f"off-{number}")
    page = events.get_event_records(EventFilter(status=EventStatus.CANCELLED, correlation_id="order-17"))
    assert _ids(page) == ["off-70"]


_stored = st.tuples(
    st.sampled_from(["a.b", "a.c", "system.warning"]), st.sampled_from([None, "c"]), st.booleans(), st.integers(0, 2)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(_stored, max_size=25),
    trimmed=st.integers(0, 25),
    order=st.sampled_from(["newest", "oldest"]),
    size=st.integers(1, 6),
    wanted=st.sampled_from(
        [{"types": ("a.*",)}, {"types": ("system.warning", "a.c")}, {"correlation_id": "c"}, {"types": ("#",)},
         {"correlation_id": "c", "types": ("a.b",)}, {"correlation_id": "e3"}, {"types": ("a.b",), "first": 4},
         {"types": ("a.b",), "last": 9}],
    ),
)  # fmt: skip
def test_every_plan_finds_what_reading_everything_would(
    services: Any, history: Any, trimmed: int, order: str, size: int, wanted: dict[str, Any]
) -> None:
    """Whatever is smaller, what was trimmed from the log and is still recorded is found, and nothing comes twice."""
    events = services.make()
    historian = Historian(events)
    rows: dict[str, tuple[int, str, str, bool]] = {}
    now_ms = T0
    for event_type, chain, is_failed, later_ms in history:
        now_ms += later_ms
        event_id = historian.store(event_type, now_ms, chain=chain)
        rows[event_id] = (now_ms, event_type, chain or event_id, is_failed)
        if is_failed:
            historian.link.call("ZREM", historian.keys.pending, event_id)
            historian.link.call("ZADD", historian.keys.status_index("failed"), now_ms, event_id)
    _trim(historian, list(rows)[:trimmed])
    times = {name: T0 + wanted[key] for name, key in (("start_time", "first"), ("end_time", "last")) if key in wanted}
    asked = {key: value for key, value in wanted.items() if key not in {"first", "last"}}
    asked |= {name: from_ms(ms) for name, ms in times.items()}

    def fits(row: tuple[int, str, str, bool]) -> bool:
        ms, event_type, chain, is_failed = row
        types = asked.get("types", (event_type,))
        is_of_type = event_type in types or (bool({"#", "a.*"} & set(types)) and event_type[:2] == "a.")
        is_in_time = times.get("start_time", 0) <= ms < times.get("end_time", 2**50)
        return is_failed and is_of_type and is_in_time and asked.get("correlation_id", chain) == chain

    expected = sorted(event_id for event_id, row in rows.items() if fits(row))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(planning, "_FEW", 0)
        found: list[str] = []
        cursor = None
        while True:
            page = events.get_event_records(
                EventFilter(status=EventStatus.FAILED, order=order, page_size=size, cursor=cursor, **asked)
            )
            found += _ids(page)
            cursor = page.next_cursor
            if cursor is None:
                break
    assert sorted(found) == expected
    times_of = [rows[one][0] for one in found]
    assert times_of == sorted(times_of, reverse=order == "newest")


def _trim(historian: Historian, event_ids: list[str]) -> None:
    """Take events out of the log as retention does: their records keep the envelope, as those of what is open."""
    link, keys = historian.link, historian.keys
    for event_id in event_ids:
        home, _, entry = link.call("HGET", keys.record(event_id), "log").decode().partition(":")
        [(_, fields)] = link.call("XRANGE", keys.log(home), entry, entry)
        link.call("HSET", keys.record(event_id), "envelope", fields[1])
        ms, _, number = entry.partition("-")
        begins = "begins" if home not in ("system", "cron") else f"begins:{home}"
        link.call("HSET", keys.history, begins, f"{ms}-{int(number) + 1}")
