"""The counter inside the handlers of peers: no call is lost, or counted twice."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest
import redis

from benchmarks.peers.counting import COUNT_KEY, TIMES_KEY, Counter


@pytest.fixture
def client(redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    monkeypatch.setenv("REDIS_URL", redis_url)
    return redis_client


def _until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread tells Redis."""
    patience = threading.Event()
    until = time.monotonic() + 60
    while not is_so() and time.monotonic() < until:
        patience.wait(0.01)
    assert is_so()


def test_every_call_of_every_thread_is_counted_once(client: redis.Redis) -> None:
    counter = Counter()
    threads = [threading.Thread(target=lambda: [counter.count() for _ in range(2_000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _until(lambda: int(client.get(COUNT_KEY) or 0) >= 16_000)
    assert int(client.get(COUNT_KEY)) == 16_000


def test_a_timed_call_is_noted_with_how_late_it_was(client: redis.Redis) -> None:
    counter = Counter()
    now_us = time.monotonic_ns() // 1000
    for at_us in (now_us - 5_000_000, now_us + 60_000_000):
        counter.time({"at_us": at_us})
    _until(lambda: int(client.get(COUNT_KEY) or 0) == 2)
    late, early = map(int, client.lrange(TIMES_KEY, 0, -1))
    assert 5_000_000 <= late < 35_000_000
    assert -60_000_000 <= early < -30_000_000


def test_a_process_that_ends_at_once_has_told_before(client: redis.Redis) -> None:
    """What RQ's default worker does: fork, run one job, and end without any of Python's own tidying."""
    counter = Counter(at_once=True)
    counter.count()
    for _ in range(3):
        child = os.fork()
        if child == 0:
            counter.count()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert int(client.get(COUNT_KEY)) == 4
