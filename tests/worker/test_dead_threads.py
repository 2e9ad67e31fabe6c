"""Threads of a worker that ended though nobody told them to: without them its process is of no use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eventsys import EventService
from eventsys.broker.worker import Worker
from eventsys.broker.worker_threads import WorkerThread

StartWorker = Callable[..., Worker]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_committer_that_ended_before_anybody_looked_is_reported(
    events: EventService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    committer = events.broker.work.committer

    def end(batch: Any) -> None:
        committer._ends.committing = 0  # or the worker waits at its end
        raise SystemExit

    events.on("a.b", name="h")(lambda event: None)
    monkeypatch.setattr(committer, "_commit_or_wait", end)
    worker = start_worker(events.broker, worker_threads=1)
    events.publish("a.b")
    while (thread := committer._thread) is None:
        events.broker.work.in_flight.wait_for_room("eventsys.log", 0, 0.01)
    thread.join(60)
    assert worker.dead_threads() == ["eventsys-committer"]


def test_a_thread_that_has_yet_to_start_is_not_reported(events: EventService, start_worker: StartWorker) -> None:
    """A thread for suspects begins while others look, and just then processes are needed."""
    worker = start_worker(events.broker, worker_threads=1)
    worker.workers.append(WorkerThread(events.broker, worker._aside, 50, "suspects"))
    assert worker.dead_threads() == []
    worker.workers[-1].start()
    assert worker.dead_threads() == []
