"""Ticks and ends of runs in any order: what runs, waits or is skipped is what a model of the rule says."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsys import CronRun, EventService, Overlap, RunOutcome
from eventsys.scheduling.cron_runs import ending
from tests.cron.conftest import START
from tests.cron.rig import Rig
from tests.support.services import Services


class Model:
    """The rule, and nothing else: ticks are numbered by their minutes."""

    def __init__(self, overlap: str) -> None:
        self.overlap = overlap
        self.open: list[int] = []
        self.started: list[int] = []
        self.skipped: list[int] = []
        self.waiting: int | None = None

    def tick(self, minute: int) -> None:
        if not self.open or self.overlap == "allow":
            self._start(minute)
        elif self.overlap == "buffer_one" and self.waiting is None:
            self.waiting = minute
        else:
            self.skipped.append(minute)

    def end_oldest(self) -> None:
        self.open.pop(0)
        if not self.open and self.waiting is not None:
            self._start(self.waiting)
            self.waiting = None

    def _start(self, minute: int) -> None:
        self.open.append(minute)
        self.started.append(minute)


def minutes_of(runs: list[CronRun], *outcomes: str) -> list[int]:
    return sorted(run.scheduled_for.minute for run in runs if run.scheduled_for and str(run.outcome) in outcomes)


@pytest.mark.parametrize("overlap", list(Overlap))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(["tick", "tick", "end", "double end"]), min_size=1, max_size=25))
def test_what_becomes_of_each_tick_is_what_the_rule_says(services: Services, overlap: str, acts: list[str]) -> None:
    events = services.make()
    rig, model = Rig(events, START), Model(str(overlap))
    events.cron.create("task", "* * * * *", actor="elsewhere", queue="elsewhere", overlap=overlap)
    for act in acts:
        if act == "tick":
            rig.advance(minutes=1)
            model.tick(rig.now.minute)
        elif model.open:
            _end_oldest(rig, times=2 if act == "double end" else 1)
            model.end_oldest()
    runs = events.cron.history("task", page_size=200).items
    assert minutes_of(runs, "running", "completed") == sorted(model.started)
    assert minutes_of(runs, "skipped") == model.skipped
    assert minutes_of(runs, "running") == sorted(model.open)
    assert _sent(events) == len(model.started)


def _end_oldest(rig: Rig, *, times: int) -> None:
    """End a run as the commit of its message would, perhaps twice, as after a lost reply."""
    runs = [run for run in rig.events.cron.history("task").items if str(run.outcome) == "running"]
    oldest = min(runs, key=lambda run: (run.started_at, run.run_id))
    for _ in range(times):
        rig.events.broker.add([ending(oldest, RunOutcome.COMPLETED, "", rig.now_ms)])
    rig.advance(seconds=0)


def _sent(events: EventService) -> int:
    return events.broker.link.call("XLEN", events.broker.keys.lane("elsewhere", 5))
