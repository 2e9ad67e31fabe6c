"""History given to a subscription again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from eventsys import (
    DeliveryStatus,
    Event,
    EventFilter,
    EventService,
    EventStatus,
    NotFoundError,
    ReplayState,
    SubscriptionError,
)
from eventsys.bus.replay import Replays
from eventsys.store.replays import ReplayStore
from tests.support.fixtures import plain_and_sealed
from tests.support.histories import Historian
from tests.support.waiting import eventually

pytestmark = [plain_and_sealed(), pytest.mark.usefixtures("rounds_come_soon")]

Work = Callable[..., Any]


class _Seen:
    """What a handler saw: ids, and whether they were replays."""

    def __init__(self) -> None:
        self.all: list[tuple[str, bool]] = []
        self.fails = False

    def __call__(self, event: Event) -> None:
        self.all.append((event.id, event.is_replay))
        if self.fails:
            raise ValueError("no")

    def replays(self) -> list[str]:
        return [event_id for event_id, is_replay in self.all if is_replay]


@pytest.fixture
def seen(events: EventService) -> _Seen:
    seen = _Seen()

    @events.on("a.*", name="h", max_retries=1, retry_delay="10ms")
    def handler(event: Event) -> None:
        seen(event)

    return seen


def _ended(events: EventService, replay_id: str) -> Any:
    return eventually(lambda: events.replays.get(replay_id).ended_at and events.replays.get(replay_id))


def _replay_ends(events: EventService, event_id: str, status: DeliveryStatus = DeliveryStatus.SUCCEEDED) -> Any:
    def last() -> Any:
        delivery = events.get_event(event_id).deliveries[-1]
        return delivery if delivery.status is status and "#" in delivery.subscription else None

    return eventually(last)


@pytest.mark.redis62
def test_a_replay_gives_what_fits_again_as_new_deliveries_and_changes_nothing_of_the_event(
    events: EventService, seen: _Seen, work: Work
) -> None:
    work()
    for number in range(4):
        events.publish("a.b" if number % 2 else "a.c", {}, id=f"e{number}", source="web")
        events.wait(f"e{number}")
    events.publish("b.b", {}, id="other")
    events.wait("other")
    before = events.get_event("e1")
    count = events.replays.count("h", EventFilter(types=("a.b", "b.b")))
    assert (count.events, count.by_type) == (2, {"a.b": 2})
    assert seen.replays() == []
    replay = events.replays.replay("h", EventFilter(types=("a.b", "b.b")), requested_by="ann")
    assert (replay.state, replay.number, replay.requested_by) == (ReplayState.RUNNING, 1, "ann")
    ended = _ended(events, replay.id)
    assert (ended.state, ended.delivered, ended.skipped) == (ReplayState.COMPLETED, 2, 0)
    delivery = _replay_ends(events, "e3")
    assert (delivery.subscription, delivery.attempts) == ("h#1", 1)
    eventually(lambda: sorted(seen.replays()) == ["e1", "e3"])
    after = events.get_event("e1")
    assert (after.status, after.processed_at, after.retry_count) == (before.status, before.processed_at, 0)
    assert [one.subscription for one in after.deliveries] == ["h", "h#1"]
    assert events.get_metrics().delivered_events == 5


@pytest.mark.redis62
def test_who_replayed_what_is_an_event_when_it_begins_and_when_it_ends(
    events: EventService, seen: _Seen, quick_work: Work
) -> None:
    quick_work()
    events.publish("a.b", {}, id="e1")
    events.wait("e1")
    replay = events.replays.replay("h", EventFilter(types=("a.b",)), requested_by="ann", rate=50)
    _ended(events, replay.id)
    told = events.get_event_records(EventFilter(types=("system.replay.*",), order="oldest")).items
    assert [one.type for one in told] == ["system.replay.started", "system.replay.completed"]
    payload = told[1].payload
    assert (payload["requested_by"], payload["subscription"], payload["delivered"]) == ("ann", "h", 1)
    assert payload["filter"] == {"types": ["a.b"]}
    assert events.replays.get(replay.id).reached_at == events.get_event("e1").created_at


def test_a_failed_replay_is_retried_and_buried_on_its_own_account(
    events: EventService, seen: _Seen, quick_work: Work
) -> None:
    quick_work()
    events.publish("a.b", {}, id="e1")
    events.wait("e1")
    seen.fails = True
    replay = events.replays.replay("h")
    _ended(events, replay.id)
    delivery = _replay_ends(events, "e1", DeliveryStatus.DEAD)
    assert (delivery.subscription, delivery.attempts) == ("h#1", 2)
    assert seen.replays() == ["e1", "e1"]
    record = events.get_event("e1")
    assert (record.status, record.error) == (EventStatus.DELIVERED, None)
    keys, link = events.broker.keys, events.broker.link
    assert link.call("ZRANGE", keys.dead, 0, -1) == [b"e1:h#1"]
    assert link.call("HGET", keys.letter("e1:h#1"), "o") == b'{"replay": 1}'
    assert link.call("HGET", keys.record("e1"), "replays") == b"0"
    assert link.call("PTTL", keys.record("e1")) > 0


def test_a_back_fill_leaves_out_what_the_subscription_had(events: EventService, seen: _Seen, quick_work: Work) -> None:
    quick_work()
    for number in range(3):
        events.publish("a.b", {}, id=f"e{number}")
        events.wait(f"e{number}")
    late = _Seen()
    events.subscribe("a.b", lambda event: late(event), name="late")
    events.start()
    events.publish("a.b", {}, id="e3")
    events.wait("e3")
    eventually(lambda: late.all == [("e3", False)])
    count = events.replays.count("late", backfill=True, rate=10)
    assert (count.events, count.seconds) == (3, 0.3)
    assert count.oldest_at == events.get_event("e0").created_at
    assert events.replays.count("late").events == 4
    _ended(events, events.replays.backfill("late").id)
    eventually(lambda: len(late.all) == 4)
    assert sorted(late.all) == [("e0", True), ("e1", True), ("e2", True), ("e3", False)]
    assert seen.replays() == []
    found = events.get_event_records(EventFilter(subscription="late", order="oldest"))
    assert [one.id for one in found.items] == ["e0", "e1", "e2", "e3"]
    assert events.get_event_records(EventFilter(subscription="late", status=EventStatus.DELIVERED)).total == 4
    assert events.get_event_records(EventFilter(subscription="h")).total == 4
    again = _ended(events, events.replays.backfill("late").id)
    assert (again.delivered, again.skipped, again.number) == (0, 4, 2)


def test_a_cancelled_replay_gives_no_more(events: EventService, seen: _Seen) -> None:
    replay = events.replays.replay("h", rate=0.001)
    assert events.replays.running()
    cancelled = events.replays.cancel(replay.id, requested_by="bob")
    assert cancelled.state is ReplayState.CANCELLED
    assert not events.replays.running()
    assert events.replays.step() == 0
    assert events.replays.cancel(replay.id).state is ReplayState.CANCELLED
    told = events.get_event_records(EventFilter(types=("system.replay.cancelled",))).items
    assert [one.payload["requested_by"] for one in told] == ["bob"]
    assert [one.id for one in events.replays.list()] == [replay.id]


def test_a_replay_to_a_subscription_that_ends_fails(events: EventService, seen: _Seen, rounds_by_hand: Any) -> None:
    events.subscribe("a.b", lambda event: None, name="short")
    replay = events.replays.replay("short")
    events.unsubscribe("a.b", "short")
    assert events.replays.step() == 0
    failed = events.replays.get(replay.id)
    assert (failed.state, failed.error) == (ReplayState.FAILED, "its subscription has ended")


def test_what_cannot_be_replayed_is_refused(events: EventService, seen: _Seen) -> None:
    with pytest.raises(NotFoundError, match="no subscription is named 'nobody'"):
        events.replays.replay("nobody")
    with pytest.raises(NotFoundError, match="no subscription is named 'nobody'"):
        events.replays.count("nobody")
    with pytest.raises(SubscriptionError, match="'0' is no rate"):
        events.replays.replay("h", rate=0)
    with pytest.raises(NotFoundError, match="no replay 'x' is known"):
        events.replays.cancel("x")


@pytest.mark.redis62
def test_each_event_is_given_once_however_many_carry_a_replay_on_and_die(
    services: Any, events: EventService, seen: _Seen
) -> None:
    """Several drive it at the same moment, none heeds that another does, and half of their steps are lost."""
    historian = Historian(events)
    events.bus.prepare()
    now_ms = events.broker.clock.now_ms()
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "h").decode()
    for at in range(200):
        historian.store("a.b", now_ms - 5_000 + at, priority=(1, 5, 8, 10)[at % 4])
        historian.dispatch(now_ms, targets=[number, "h", "elsewhere", 0])
    replay = events.replays.replay("h", rate=100_000)
    barrier = threading.Barrier(4)

    def drive(at: int) -> None:
        one = services.make(name=events.settings.name)
        replays: Replays = one.replays
        replays._driver = lambda: "everybody"
        store: ReplayStore = replays._store
        barrier.wait(60)
        for turn in range(200):
            standing = store.get(replay.id)
            if standing is None or standing.replay.state is not ReplayState.RUNNING:
                return
            if not standing.is_over and (turn + at) % 2:
                row = one.bus.subscriptions.get("h")
                assert row is not None
                replays._batch(standing, row, 7)  # computed, and its process dies before it is sent
                continue
            replays.step()

    threads = [threading.Thread(target=drive, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ended = events.replays.get(replay.id)
    assert (ended.state, ended.delivered, ended.skipped, ended.scanned) == (ReplayState.COMPLETED, 200, 0, 200)
    queued = historian.link.call("XRANGE", historian.keys.lane("tests", 1), "-", "+")
    ids = [fields[3].split(b'"')[3].decode() for _, fields in queued]
    assert ids == [f"e{n}" for n in range(1, 201)]


def test_what_is_stored_after_it_began_is_not_replayed(events: EventService, seen: _Seen, quick_work: Work) -> None:
    events.publish("a.b", {}, id="before")
    quick_work()
    events.wait("before")
    replay = events.replays.replay("h", rate=1_000)
    events.publish("a.b", {}, id="after")
    events.wait("after")
    assert _ended(events, replay.id).delivered == 1
    eventually(lambda: seen.replays() == ["before"])


def test_a_replay_of_a_time_takes_what_lies_in_it(events: EventService, seen: _Seen, quick_work: Work) -> None:
    quick_work()
    for number in range(3):
        events.publish("a.b", {}, id=f"e{number}")
        events.wait(f"e{number}")
    middle = events.get_event("e1").created_at
    wanted = EventFilter(start_time=middle, end_time=middle + timedelta(milliseconds=1))
    _ended(events, events.replays.replay("h", wanted).id)
    _replay_ends(events, "e1")
    assert "e1" in seen.replays()
    assert "e2" not in seen.replays() or events.get_event("e2").created_at == middle


def test_a_replay_to_a_paused_subscription_waits_with_the_others(
    events: EventService, seen: _Seen, quick_work: Work
) -> None:
    quick_work()
    events.publish("a.b", {}, id="e1")
    events.wait("e1")
    events.subscriptions.pause("h")
    _ended(events, events.replays.replay("h").id)
    assert events.get_event("e1").deliveries[-1].status is DeliveryStatus.PENDING
    assert seen.replays() == []
    events.subscriptions.resume("h")
    _replay_ends(events, "e1")
    assert seen.replays() == ["e1"]
