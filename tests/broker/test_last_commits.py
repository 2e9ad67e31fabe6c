"""A process that ends while Redis is away ends all the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from eventsys.broker.endings import DONE
from eventsys.broker.finished import Finished
from eventsys.broker.last_commits import LAST_COMMIT_S, LastCommits
from eventsys.broker.messages import Place
from eventsys.broker.waiting_ends import WaitingEnds


class AwayCommitter:
    """Commits nothing, and lets the time pass that it was given."""

    now_s = 0.0

    def join(self, timeout_s: float) -> bool:
        self.now_s += timeout_s
        return False


@pytest.fixture
def committer(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = AwayCommitter()
    clock = SimpleNamespace(monotonic=lambda: made.now_s)
    monkeypatch.setattr("eventsys.broker.last_commits.time", clock)
    return cast("Any", made)


def test_many_queues_wait_for_their_commits_no_longer_than_one(committer: Any) -> None:
    last_commits = LastCommits()
    last_commits.hear("worker_shutdown")
    for _ in range(20):
        last_commits.wait(committer)
    assert committer.now_s == LAST_COMMIT_S


def test_a_queue_that_is_closed_while_the_process_goes_on_waits_for_nothing(committer: Any) -> None:
    last_commits = LastCommits()
    last_commits.wait(committer)
    last_commits.hear("worker_shutdown")
    last_commits.hear("worker_boot")
    last_commits.wait(committer)
    assert committer.now_s == 0


def test_the_ends_of_a_batch_are_waited_for_while_they_are_taken() -> None:
    """Who came just then took them for committed, and a process that closed its committer left them to others."""
    seen: list[int] = []

    class WatchedEnds(WaitingEnds):
        def _take_batched(self) -> list[Finished]:
            taken = super()._take_batched()
            seen.append(len(self.backlog))
            return taken

    ends = WatchedEnds(lambda: False)
    ends.add_batch([Finished(Place("q", 5, "lane", f"{number}-1", "me"), DONE, []) for number in range(3)])
    assert len(ends.take()) == 3
    assert seen[0] >= 3
    ends.committing = 0
    assert len(ends.backlog) == 0
