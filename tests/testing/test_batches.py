"""Batch handlers under a clock that the test turns."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from eventsys import BatchError, Event, EventService, Reject
from eventsys.testing import EventHarness


@pytest.fixture
def events(redis_url: str) -> EventService:
    """A service that a harness may borrow."""
    return EventService(redis_url=redis_url, name="batches", app="tests")


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_all_that_is_due_together_is_one_batch_in_order_and_at_most_its_size(events: EventService, kind: str) -> None:
    batches: list[list[int]] = []

    def take(batch: list[Event]) -> None:
        batches.append([event.payload["n"] for event in batch])

    async def take_async(batch: list[Event]) -> None:
        take(batch)

    events.on("click.*", name="clicks", batch_size=3, batch_wait="30s")(take if kind == "function" else take_async)
    with EventHarness(events) as harness:
        before = harness.now
        for n in range(7):
            harness.publish("click.made", {"n": n})
        harness.run()
        assert batches == [[0, 1, 2], [3, 4, 5], [6]]
        assert harness.now == before
        assert [one.outcome for one in harness.delivered("clicks")] == ["succeeded"] * 7


def test_what_another_handler_publishes_at_the_same_moment_is_in_the_batch_too(events: EventService) -> None:
    batches: list[list[str]] = []
    events.on("a.*", name="first")(lambda event: events.publish("b.made", {}))

    @events.on("#", name="all", batch_size=10)
    def everything(batch: list[Event]) -> None:
        batches.append([event.type for event in batch])

    with EventHarness(events) as harness:
        harness.publish("a.made", {})
        harness.run()
        assert batches == [["a.made", "b.made"]]


def test_failed_ones_come_back_together_at_their_time_and_the_test_sees_their_error(events: EventService) -> None:
    batches: list[list[int]] = []

    @events.on("click.*", name="clicks", batch_size=10, retry_delay="1m")
    def clicks(batch: list[Event]) -> None:
        batches.append([event.payload["n"] for event in batch])
        if len(batches) == 1:
            raise BatchError({event.id: ValueError(f"bad {event.payload['n']}") for event in batch[::2]})

    with EventHarness(events) as harness:
        for n in range(4):
            harness.publish("click.made", {"n": n})
        with pytest.raises(ValueError, match="bad 0"):
            harness.run(raise_errors=True)
        harness.advance(minutes=2)
        assert batches == [[0, 1, 2, 3], [0, 2]]
        assert [(one.attempt, one.outcome) for one in harness.attempts("clicks")] == [
            (1, "failed"), (1, "succeeded"), (1, "failed"), (1, "succeeded"), (2, "succeeded"), (2, "succeeded"),
        ]  # fmt: skip


def test_a_worker_that_dies_in_a_batch_loses_none_and_each_is_tried_alone(events: EventService) -> None:
    batches: list[list[int]] = []

    with EventHarness(events) as harness:

        @events.on("click.*", name="clicks", batch_size=10)
        def clicks(batch: list[Event]) -> None:
            batches.append([event.payload["n"] for event in batch])
            events.publish("sum.made", {"of": len(batch)})
            if len(batches) == 1:
                harness.crash()

        for n in range(3):
            harness.publish("click.made", {"n": n})
        harness.advance(minutes=1)
        assert batches[0] == [0, 1, 2]
        assert sorted(batches[1:]) == [[0], [1], [2]]
        assert len(harness.delivered("clicks")) == 3
        assert events.get_metrics(by="type")["sum.made"].total_events == 3


def test_a_redriven_and_a_replayed_event_may_stand_in_one_batch(events: EventService) -> None:
    batches: list[list[bool]] = []

    @events.on("click.*", name="clicks", batch_size=10)
    def clicks(batch: list[Event]) -> None:
        batches.append([event.is_replay for event in batch])
        if len(batches) == 1:
            raise BatchError({batch[0].id: Reject("not yet")})

    with EventHarness(events) as harness:
        harness.publish("click.made", {"n": 1})
        harness.publish("click.made", {"n": 2})
        harness.run(raise_errors=False)
        events.replays.replay("clicks")
        (letter,) = harness.dead_letters()
        events.dead_letters.redrive(letter.id)
        harness.advance(minutes=1)
        assert batches[0] == [False, False]
        assert sorted(one for batch in batches[1:] for one in batch) == [False, True, True]
        assert harness.dead_letters() == []


def test_the_example_of_the_documentation_runs(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs/batches.md").read_text()
    (tmp_path / "batches.py").write_text(text.split("```python\n")[1].split("```")[0])
    spec = importlib.util.spec_from_file_location("batches", tmp_path / "batches.py")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setenv("EVENTSYS_REDIS_URL", redis_url)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "batches", module)
    spec.loader.exec_module(module)
    with EventHarness(module.events) as harness:
        for page in ("home", "", "shop"):
            harness.publish("click.made", {"page": page})
        harness.run(raise_errors=False)
        assert module.rows == ["home", "shop"]
        assert [one.outcome for one in harness.attempts("count-clicks")] == ["succeeded", "failed", "succeeded"]
