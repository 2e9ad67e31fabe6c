"""A handler that runs too long ends once: as a success or as a timeout, never as both."""

from __future__ import annotations

import threading
import time
from collections import Counter

import dramatiq
import pytest
from dramatiq.middleware import TimeLimitExceeded

from tests.broker.letters import letters_of

#: A manual run takes 10,000.
_CLOSE_CALLS = 2_000


@pytest.mark.redis62
def test_a_handler_over_its_limit_is_interrupted(broker, start_worker) -> None:
    interrupted = []

    @dramatiq.actor(time_limit=50, max_retries=0)
    def run_on():
        try:
            for _ in range(1_000):
                threading.Event().wait(0.005)
        except TimeLimitExceeded as error:
            interrupted.append(error)
            raise

    start_worker(broker)
    run_on.send()
    broker.join("default", timeout=60_000)
    assert len(interrupted) == 1
    assert len(letters_of(broker)) == 1


def test_a_limit_that_comes_after_a_long_pause_is_kept(broker, start_worker) -> None:
    """The watcher has nothing to watch in between, and must notice that it has again."""
    limits = []

    @dramatiq.actor(time_limit=50, max_retries=0)
    def run_on():
        try:
            for _ in range(1_000):
                threading.Event().wait(0.005)
        except TimeLimitExceeded:
            limits.append(None)
            raise

    start_worker(broker)
    for _ in range(3):
        run_on.send()
        broker.join("default", timeout=60_000)
    assert len(limits) == 3


# The limit may strike in what hypothesis has the collector call, where Python passes over it.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function gc_cum:pytest.PytestUnraisableExceptionWarning")
def test_handlers_that_end_at_their_limit_have_exactly_one_outcome(broker, start_worker) -> None:
    """Every message is either handled to its end or a dead letter, and none is tried twice."""
    attempts: Counter[int] = Counter()
    outcomes: Counter[str] = Counter()

    class Watch(dramatiq.Middleware):
        def after_ack(self, broker, message):
            outcomes["ack"] += 1

        def after_nack(self, broker, message):
            outcomes["nack"] += 1

    broker.add_middleware(Watch())

    @dramatiq.actor(time_limit=10, max_retries=0)
    def end_at_limit(number):
        attempts[number] += 1
        end = time.perf_counter() + 0.0095 + (number % 10) / 10_000
        while time.perf_counter() < end:
            threading.Event().wait(0.0005)

    for number in range(_CLOSE_CALLS):
        end_at_limit.send(number)
    start_worker(broker, threads=16)
    broker.join("default", timeout=60_000)
    assert broker.work.committer.join(60)
    assert sum(outcomes.values()) == _CLOSE_CALLS
    assert set(attempts.values()) <= {1}
    assert broker.link.call("ZCARD", broker.keys.dead) == outcomes["nack"]
