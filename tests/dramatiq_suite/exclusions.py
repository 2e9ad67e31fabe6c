"""Which of Dramatiq's tests cannot run on another broker, and why."""

from __future__ import annotations

#: The files that are run.
FILES = (
    "test_actors.py",
    "test_barrier.py",
    "test_broker.py",
    "test_bucket_rate_limiter.py",
    "test_callbacks.py",
    "test_composition.py",
    "test_concurrent_rate_limiter.py",
    "test_generic_actors.py",
    "test_messages.py",
    "test_redis.py",
    "test_results.py",
    "test_stub_broker.py",
    "test_window_rate_limiter.py",
    "test_worker.py",
    "middleware/test_asyncio.py",
    "middleware/test_prometheus.py",
    "middleware/test_retries.py",
    "middleware/test_shutdown.py",
    "middleware/test_threading.py",
    "middleware/test_time_limit.py",
)

#: Parts of a test's id, and why such a test is left out.
REASONS: dict[str, str] = {
    "[memcached": "needs memcached",
}


def reason_to_exclude(test_id: str) -> str | None:
    """Return why a test is left out, None when it is run."""
    return next((reason for part, reason in REASONS.items() if part in test_id), None)
