"""How fast replays are carried on, by which clock, and by whom."""

from __future__ import annotations

import pytest

from eventsys import Event, EventFilter, EventService, ReplayState
from eventsys.bus.replay import Replays
from tests.support.fixtures import plain_and_sealed
from tests.support.histories import Historian

pytestmark = [plain_and_sealed(), pytest.mark.usefixtures("hosted")]


class _Clock:
    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


@pytest.fixture
def hosted(events: EventService) -> None:
    """Have a subscription that history is given to."""

    @events.on("a.*", name="h")
    def handler(event: Event) -> None:
        """Never run here: no worker is started."""


def _replayed_by_hand(events: EventService, count: int) -> _Clock:
    """Give `h` so much history, and return the clock that replays are carried on by."""
    historian = Historian(events)
    events.bus.prepare()
    now_ms = events.broker.clock.now_ms()
    number = historian.link.call("HGET", historian.keys.subscription_numbers, "h").decode()
    for at in range(count):
        historian.store("a.b", now_ms - 1_000 + at)
    historian.dispatch(now_ms, targets=[number, "h", "elsewhere", 0])
    clock = _Clock(now_ms)
    events.replays._clock = clock  # type: ignore[assignment]
    return clock


@pytest.mark.redis62
def test_a_replay_keeps_its_rate_by_the_clock(events: EventService) -> None:
    clock = _replayed_by_hand(events, 30)
    replay = events.replays.replay("h", rate=10)
    assert [events.replays.step(), events.replays.step()] == [10, 0]
    clock.at_ms += 500
    assert [events.replays.step(), events.replays.step()] == [5, 0]
    clock.at_ms += 60_000
    assert [events.replays.step(), events.replays.step()] == [10, 0]
    assert events.replays.get(replay.id).scanned == 25
    clock.at_ms += 1_000
    assert [events.replays.step(), events.replays.get(replay.id).state] == [5, ReplayState.RUNNING]
    assert [events.replays.step(), events.replays.get(replay.id).state] == [0, ReplayState.COMPLETED]
    assert (events.replays.get(replay.id).delivered, events.replays.get(replay.id).scanned) == (30, 30)


def test_a_replay_goes_on_at_its_rate_when_the_clock_was_set_back(events: EventService) -> None:
    clock = _replayed_by_hand(events, 30)
    events.replays.replay("h", rate=10)
    assert [events.replays.step(), events.replays.step()] == [10, 0]
    clock.at_ms -= 3_600_000
    assert [events.replays.step(), events.replays.step()] == [10, 0]
    clock.at_ms += 500
    assert [events.replays.step(), events.replays.step()] == [5, 0]


@pytest.mark.parametrize(("rate", "each_ms"), [("10/m", 6_000), ("7/h", 514_286), ("1/h", 3_600_000)])
def test_a_replay_slower_than_one_a_second_gives_one_event_each_time_its_turn_comes(
    events: EventService, rate: str, each_ms: int
) -> None:
    clock = _replayed_by_hand(events, 3)
    events.replays.replay("h", rate=rate)
    assert [events.replays.step(), events.replays.step()] == [1, 0]
    clock.at_ms += each_ms - 1
    assert events.replays.step() == 0
    clock.at_ms += 1
    assert [events.replays.step(), events.replays.step()] == [1, 0]
    clock.at_ms += 10 * each_ms
    assert [events.replays.step(), events.replays.step()] == [1, 0]


def test_when_the_process_that_carries_a_replay_on_is_gone_another_one_does(events: EventService) -> None:
    clock = _Clock(events.broker.clock.now_ms())
    events.publish("a.b", {})
    replay = events.replays.replay("h", EventFilter(types=("a.b",)), rate=1_000)
    others = Replays(
        events.replays._store, events.store.history, events.bus.subscriptions, events.bus.drafter,
        clock, driver=lambda: "gone", prepare=events.bus.prepare,  # type: ignore[arg-type]
    )  # fmt: skip
    events.replays._clock = clock  # type: ignore[assignment]
    others.step()
    assert events.replays._standing(replay.id).is_over
    clock.at_ms += 2_999
    events.replays.step()
    assert events.replays.get(replay.id).state is ReplayState.RUNNING
    clock.at_ms += 1
    events.replays.step()
    assert events.replays.get(replay.id).state is ReplayState.COMPLETED
    assert events.replays.get(replay.id).skipped == 1  # not dispatched yet, so it will be delivered as usual
