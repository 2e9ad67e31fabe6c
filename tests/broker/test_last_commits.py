"""A process that ends while Redis is away ends all the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from eventsys.broker.last_commits import LAST_COMMIT_S, LastCommits


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
