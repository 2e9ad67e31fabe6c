"""A process that starts its own handlers is told when nobody dispatches events to them."""

from __future__ import annotations

import logging

import pytest

from eventsys import Event, EventService
from eventsys.bus import dispatch_watch
from eventsys.bus.dispatch_watch import DispatchWatch
from eventsys.store.keys import LOG_QUEUE
from eventsys.testing import EventHarness
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the first look that finds nobody told."""
    monkeypatch.setattr(dispatch_watch, "_PATIENCE_S", 0.0)


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    actions = [getattr(one, "action", "") for one in caplog.records]
    return [one for one in actions if one in {"nobody_dispatches", "dispatched_now"}]


@pytest.mark.usefixtures("impatient", "rounds_by_hand")
@pytest.mark.parametrize("is_declared_in_code", [False, True])
def test_a_process_that_starts_its_handlers_alone_is_told_that_nobody_dispatches(
    events: EventService, caplog: pytest.LogCaptureFixture, is_declared_in_code: bool
) -> None:
    def handle(event: Event) -> None:
        """Do nothing."""

    if is_declared_in_code:
        events.on("a.b", name="h")(handle)
    else:
        events.subscribe("a.b", handle, name="h")
    events.start()
    for _ in range(2):
        events.bus.tending.make_round()
    assert _told(caplog) == ["nobody_dispatches"]
    assert "start a worker, each dispatches (eventsys worker MODULE)" in caplog.text


def test_what_is_missing_is_told_once_and_that_it_is_over(
    services: Services, events: EventService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(dispatch_watch, "_PATIENCE_S", 3600.0)
    watch = DispatchWatch(events.bus.hosts, events.broker.clock, lambda: True)
    assert watch.make_round(), "a worker may be about to start"
    assert _told(caplog) == []
    monkeypatch.setattr(dispatch_watch, "_PATIENCE_S", 0.0)
    assert [watch.make_round() for _ in range(3)] == [False] * 3
    assert _told(caplog) == ["nobody_dispatches"]
    services.work(services.make(name=events.settings.name), queues={LOG_QUEUE})
    eventually(lambda: events.bus.hosts.is_read(LOG_QUEUE, events.broker.clock.real_ms()))
    assert [watch.make_round() for _ in range(2)] == [False] * 2
    assert _told(caplog) == ["nobody_dispatches", "dispatched_now"]


@pytest.mark.usefixtures("impatient")
def test_nothing_is_told_of_a_process_that_starts_none_nor_under_a_harness(
    events: EventService, harness: EventHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.events.start()
    for one in (events, events, harness.events, harness.events):
        one.bus.tending.make_round()
    assert _told(caplog) == []


def test_a_process_that_starts_anew_waits_anew_before_it_is_told(
    events: EventService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [True]
    watch = DispatchWatch(events.bus.hosts, events.broker.clock, lambda: runs[0])
    monkeypatch.setattr(dispatch_watch, "_PATIENCE_S", 0.0)
    watch.make_round()
    assert _told(caplog) == ["nobody_dispatches"]
    runs[0] = False
    assert not watch.make_round()
    monkeypatch.setattr(dispatch_watch, "_PATIENCE_S", 3600.0)
    runs[0] = True
    assert watch.make_round(), "a worker may be about to start"
    assert _told(caplog) == ["nobody_dispatches"]
