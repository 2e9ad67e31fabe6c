"""What leaves the history, and what never does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsys import BackpressureError, EventService, EventStatus, NotFoundError
from tests.support.histories import LANES, Historian
from tests.support.trimming import HOUR, ids_in, keys_left, retention_of, trim_all

T0 = 1_800_000_000_000


@pytest.mark.redis62
def test_what_is_too_old_leaves_the_log_the_records_and_every_index(events: EventService, historian: Historian) -> None:
    historian.store("a.old", T0, event_id="root")
    historian.store("a.b", T0 + 1, chain="root")
    historian.store("a.b", T0 + HOUR, event_id="young")
    historian.dispatch(T0 + HOUR)
    retention = retention_of(events)
    assert trim_all(retention, T0 + HOUR + 2) == 2
    assert ids_in(events) == ["young"]
    assert ids_in(events, types=("a.*",)) == ["young"]
    assert ids_in(events, correlation_id="root") == []
    with pytest.raises(NotFoundError):
        events.get_event("root")
    assert keys_left(historian, "type:*") == [historian.keys.type_index("a.b").encode()]
    assert keys_left(historian, "chain:*") == []
    assert keys_left(historian, "event:*") == [historian.keys.record("young").encode()]
    assert retention.size().model_dump(include={"events", "trimmed_events", "trimmed_young_events"}) == {
        "events": 1, "trimmed_events": 2, "trimmed_young_events": 0,
    }  # fmt: skip
    assert trim_all(retention, T0 + HOUR + 2) == 0


@pytest.mark.redis62
def test_events_of_all_lanes_go_in_the_order_they_were_stored(events: EventService, historian: Historian) -> None:
    """Also where more of a lane are stored in one millisecond than are read at once."""
    stored = [historian.store("a.b", T0 + at // 100, priority=LANES[at * at % 7 % 4]) for at in range(300)]
    historian.dispatch(T0 + 3, count=300)
    for left in (299, 298, 187, 93, 2):
        trim_all(retention_of(events, events=left), T0 + 3)
        assert ids_in(events) == ids_in(events, types=("a.b",)) == stored[-left:]
        assert len(keys_left(historian, "event:*")) == left
    assert trim_all(retention_of(events, age_ms=2), T0 + 4) == 0
    assert trim_all(retention_of(events, age_ms=2), T0 + 5) == 2


def test_a_step_takes_as_many_as_it_may_and_says_whether_there_are_more(
    events: EventService, historian: Historian
) -> None:
    for at in range(252):
        historian.store("a.b", T0 + at)
    historian.dispatch(T0 + 252, count=252)
    assert retention_of(events, events=1).trim(T0 + 252, takes_young=True) == (250, 250, 0, True)
    assert retention_of(events, events=1).trim(T0 + 252, takes_young=True) == (1, 1, 0, False)
    assert retention_of(events, events=1).trim(T0 + 252, takes_young=True) == (0, 0, 0, False)
    assert retention_of(events).trim(T0 + HOUR + 252, takes_young=False) == (1, 0, 0, False)


def test_a_step_ends_after_half_a_megabyte_though_most_events_are_small(
    events: EventService, historian: Historian
) -> None:
    for at in range(104):
        historian.store("a.b", T0 + at, payload=b'{"text":"%s"}' % (b"x" * (200_000 if at < 4 else 10)))
    historian.dispatch(T0 + 104, count=104)
    retention = retention_of(events)
    assert retention.trim(T0 + HOUR + 104, takes_young=False) == (3, 0, 0, True)
    assert trim_all(retention, T0 + HOUR + 104) == 101


class _Model:
    """A history, and what it must hold: the events stored, in their order, less the past ones that were dispatched."""

    def __init__(self, events: EventService, data: st.DataObject) -> None:
        self.events, self.data, self.historian = events, data, Historian(events)
        self.now_ms = T0
        self.stored: dict[str, int] = {}
        self.open: set[str] = set()
        self.held: list[tuple[str, str, str]] = []
        self.most = data.draw(st.integers(1, 8))
        self.retention = retention_of(events, age_ms=20, events=self.most)

    def store(self) -> None:
        event_id = self.historian.store("a.b", self.now_ms, priority=self.data.draw(st.sampled_from(LANES)))
        self.stored[event_id] = self.now_ms
        self.open.add(event_id)

    def fetch(self) -> None:
        self.held += self.historian.fetch(self.data.draw(st.integers(1, 3)))

    def commit(self) -> None:
        if self.held:
            self.dispatched([self.held.pop(self.data.draw(st.integers(0, len(self.held) - 1)))])

    def later(self) -> None:
        self.now_ms += self.data.draw(st.integers(1, 30))

    def trim(self) -> None:
        trim_all(self.retention, self.now_ms)
        for event_id, stored_ms in list(self.stored.items()):
            is_past = stored_ms < self.now_ms - 20 or len(self.stored) > self.most
            if not is_past or event_id in self.open:
                break
            del self.stored[event_id]

    def dispatched(self, fetched: list[tuple[str, str, str]]) -> None:
        self.historian.commit_dispatch(fetched, self.now_ms, [])
        self.open.difference_update(envelope.split('"')[3] for _, _, envelope in fetched)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_that_is_not_dispatched_is_taken_out_and_all_else_is(services: Any, data: st.DataObject) -> None:
    """Whatever is stored, fetched, dispatched and trimmed in whatever order, by age or by number."""
    events = services.make()
    model = _Model(events, data)
    steps = st.sampled_from([_Model.store, _Model.store, _Model.fetch, _Model.commit, _Model.later, _Model.trim])
    for step in data.draw(st.lists(steps, max_size=40)):
        step(model)
        assert ids_in(events) == ids_in(events, types=("a.b",)) == list(model.stored)
    assert model.retention.size().events == len(model.stored)
    model.dispatched(model.held)
    while fetched := model.historian.fetch():
        model.dispatched(fetched)
    assert model.retention.size().undispatched_bytes == 0


def test_young_events_are_spared_until_somebody_says_otherwise(events: EventService, historian: Historian) -> None:
    for _ in range(5):
        historian.store("a.b", T0)
    historian.dispatch(T0)
    retention = retention_of(events, events=2)
    assert trim_all(retention, T0, takes_young=False) == 0
    assert trim_all(retention, T0) == 3
    assert (ids_in(events), retention.size().trimmed_young_events) == (["e4", "e5"], 3)


@pytest.mark.redis62
def test_bytes_count_those_of_stored_events(events: EventService, historian: Historian) -> None:
    for _ in range(4):
        historian.store("a.b", T0, payload=b'{"text":"' + b"x" * 1000 + b'"}')
    historian.dispatch(T0)
    size = retention_of(events).size().bytes
    assert size > 4_000
    assert trim_all(retention_of(events, bytes=size // 2 + 1), T0) == 2
    assert retention_of(events).size().bytes == size // 2


@pytest.mark.redis62
def test_an_open_event_keeps_its_record_with_the_envelope_and_ends_as_usual(
    events: EventService, historian: Historian
) -> None:
    events.subscribe("a.b", lambda event: None, name="h")
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "h").decode()
    historian.store("a.b", T0, payload=b'{"n":1}')
    historian.dispatch(T0, targets=[number, "h", "somewhere", 0])
    assert trim_all(retention_of(events), T0 + 2 * HOUR) == 1
    assert ids_in(events) == []
    record = events.get_event("e1")
    assert (record.status, record.payload) == (EventStatus.PENDING, {"n": 1})
    assert ids_in(events, status=EventStatus.PENDING) == ["e1"]
    lane = historian.keys.lane("somewhere", 5)
    historian.link.call("XGROUP", "CREATE", lane, "workers", "0")
    [[_, [[entry, _]]]] = historian.link.call("XREADGROUP", "GROUP", "workers", "historian", "STREAMS", lane, ">")
    historian.commit(T0 + 2 * HOUR, lane, entry.decode(), ("ended", "e1", number, f"s{T0},1,1", True, "a.b", 1, 1))
    assert events.get_event("e1").status is EventStatus.DELIVERED
    assert historian.link.call("PTTL", historian.keys.record("e1")) > 0


@pytest.mark.redis62
def test_each_class_of_system_events_keeps_its_own_number_and_takes_nobodys_room(
    events: EventService, historian: Historian
) -> None:
    for number in range(6):
        historian.store("system.warning", T0 + number)
        historian.store("a.b", T0 + number)
    historian.store("cron.task.failed", T0 + 9)
    historian.dispatch(T0 + 9)
    retention = retention_of(events, events=6, of_class=2)
    assert trim_all(retention, T0 + 9) == 4
    assert ids_in(events, types=("system.*",)) == ["e9", "e11"]
    assert ids_in(events, types=("a.b",)) == [f"e{n}" for n in (2, 4, 6, 8, 10, 12)]
    assert trim_all(retention, T0 + 2 * HOUR) == 6
    assert ids_in(events) == ["e9", "e11", "e13"]
    size = retention.size()
    assert (size.events, size.system_events, size.cron_events) == (0, 2, 1)
    assert (size.trimmed_events, size.trimmed_young_events) == (6, 0)


def _lasts_ms(historian: Historian, event_id: str) -> int:
    return int(historian.link.call("PTTL", historian.keys.record(event_id)))


def test_a_class_that_lost_entries_is_not_said_to_have_more_for_ever(
    events: EventService, historian: Historian
) -> None:
    for number in range(3):
        historian.store("system.startup", T0 + number)
    log = f"{historian.keys.prefix}:log:system"
    historian.link.call("XTRIM", log, "MAXLEN", 0)
    assert trim_all(retention_of(events, of_class=1), T0 + 10) == 0


@pytest.mark.redis62
def test_a_record_of_the_system_lasts_as_long_as_its_entry_which_is_kept_by_number(
    events: EventService, historian: Historian
) -> None:
    for event_type in ("system.warning", "cron.task.failed", "systems.are.others"):
        historian.store(event_type, T0)
    historian.dispatch(T0)
    year_ms = 365 * 24 * HOUR
    assert _lasts_ms(historian, "e1") > year_ms
    assert _lasts_ms(historian, "e2") > year_ms
    assert 0 < _lasts_ms(historian, "e3") <= 2 * historian.retention_ms
    assert trim_all(retention_of(events, of_class=0), T0) == 2
    assert keys_left(historian, "event:*") == [historian.keys.record("e3").encode()]


@pytest.mark.redis62
def test_a_record_of_the_system_that_outlived_its_entry_because_it_was_open_expires(
    events: EventService, historian: Historian
) -> None:
    events.subscribe("system.*", lambda event: None, name="h")
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "h").decode()
    historian.store("system.warning", T0)
    historian.dispatch(T0, targets=[number, "h", "somewhere", 0])
    assert trim_all(retention_of(events, of_class=0), T0) == 1
    lane = historian.keys.lane("somewhere", 5)
    historian.link.call("XGROUP", "CREATE", lane, "workers", "0")
    [[_, [[entry, _]]]] = historian.link.call("XREADGROUP", "GROUP", "workers", "historian", "STREAMS", lane, ">")
    ending = ("ended", "e1", number, f"s{T0},1,1", True, "system.warning", 1, 1)
    historian.commit(T0, lane, entry.decode(), ending)
    assert 0 < _lasts_ms(historian, "e1") <= 2 * historian.retention_ms


def test_indexes_by_status_forget_what_the_history_forgot(events: EventService, historian: Historian) -> None:
    historian.store("a.b", T0)
    historian.dispatch(T0)
    link, keys = historian.link, historian.keys
    link.call("ZADD", keys.status_index("failed"), T0, "e1", T0 + HOUR, "young")
    link.call("ZADD", keys.status_index("cancelled"), T0, "never-fired")
    link.call("HSET", keys.record("never-fired"), "status", "cancelled", "envelope", "{}")
    link.call("ZADD", keys.pending, T0, "leftover")
    historian.store("a.b", T0 + 1, event_id="open")
    retention = retention_of(events)
    assert retention.trim_indexes(T0 + HOUR + 5) == (3, False)
    assert link.call("ZRANGE", keys.status_index("failed"), 0, -1) == [b"young"]
    assert link.call("ZRANGE", keys.pending, 0, -1) == [b"open"]
    assert link.call("EXISTS", keys.record("never-fired")) == 0
    assert retention.trim_indexes(T0 + HOUR + 5) == (0, False)


@pytest.mark.redis62
def test_what_expired_as_old_as_the_history_is_told_of(events: EventService, historian: Historian) -> None:
    events.subscribe("a.b", lambda event: None, name="h")
    link, keys = historian.link, historian.keys
    number = link.call("HGET", keys.subscription_numbers, "h").decode()
    historian.store("a.b", T0, event_id="late")
    historian.store("a.b", T0 + 1, event_id="handled")
    historian.dispatch(T0 + HOUR, targets=[number, "h", "somewhere", 0])
    lane = keys.lane("somewhere", 5)
    link.call("XGROUP", "CREATE", lane, "workers", "0")
    [[_, entries]] = link.call("XREADGROUP", "GROUP", "workers", "historian", "STREAMS", lane, ">")
    for (entry, _), event_id, letter in zip(entries, ("late", "handled"), "xs", strict=True):
        ending = ("ended", event_id, number, f"{letter}{T0 + HOUR},0,1", letter == "x", "a.b", 1, 1)
        historian.commit(T0 + HOUR, lane, entry.decode(), ending)
    retention = retention_of(events)
    assert trim_all(retention, T0 + HOUR + 5) == 2
    retention.trim_indexes(T0 + HOUR + 5)
    assert events.get_event("late").status is EventStatus.EXPIRED
    assert ids_in(events, status=EventStatus.EXPIRED) == ["late"]
    assert 0 < _lasts_ms(historian, "late") <= 2 * historian.retention_ms
    assert keys_left(historian, "event:*") == [keys.record("late").encode()]
    link.call("DEL", keys.record("late"))
    assert retention.trim_indexes(T0 + HOUR + 5) == (1, False)
    assert ids_in(events, status=EventStatus.EXPIRED) == []


@pytest.mark.redis62
def test_what_expired_goes_with_its_entry_where_the_history_is_full(events: EventService, historian: Historian) -> None:
    historian.store("a.b", T0)
    historian.dispatch(T0)
    historian.link.call("HSET", historian.keys.record("e1"), "status", "expired")
    historian.store("a.b", T0 + 1)
    historian.dispatch(T0 + 1)
    assert trim_all(retention_of(events, events=1), T0 + 2) == 1
    assert keys_left(historian, "event:*") == [historian.keys.record("e2").encode()]


@pytest.mark.redis62
def test_publishing_is_refused_when_undispatched_events_fill_the_history(services: Any) -> None:
    events = services.make(retention_bytes=2_000)
    historian = Historian(events)
    events.publish("a.b", {"text": "x" * 3_000})
    with pytest.raises(BackpressureError, match="retention_bytes"):
        events.publish("a.b", {}, id="refused")
    events.schedule("a.b", {}, delay="1h")
    assert events.store.status_of("refused") is None
    historian.dispatch(events.broker.clock.now_ms())
    assert events.publish("a.b", {}, id="refused").id == "refused"


def test_a_history_written_to_by_others_goes_on(events: EventService, historian: Historian) -> None:
    historian.link.call("XADD", historian.keys.log(5), f"{T0}-0", "e", "no event")
    historian.link.call("SET", f"{historian.keys.prefix}:clock", f"{T0}-0")
    historian.store("a.b", T0 + 1)
    assert ids_in(events) == ["e1"]
    [junk, _] = historian.fetch()
    historian.link.call("XACK", junk[0], "workers", junk[1])
    assert trim_all(retention_of(events), T0 + 2 * HOUR) == 1
    assert historian.link.call("XLEN", historian.keys.log(5)) <= 2
