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
    "test_actors.py::test_actors_can_be_sent_messages": "reads StubBroker's queue in memory",
    "test_actors.py::test_worker_handles_non_numeric_eta_and_logs_warning": "writes to StubBroker's queue in memory",
    "test_actors.py::test_worker_handles_none_eta": "writes to StubBroker's queue in memory",
    "test_actors.py::test_actors_can_prioritize_work": "needs one thread to hold 20 messages ahead; ours holds fewer",
    "test_broker.py::test_broker_uses_rabbitmq_if_not_set": "needs RabbitMQ's client",
    "test_broker.py::test_can_instantiate_brokers_without_middleware": "needs RabbitMQ's client",
    "test_messages.py::test_messageproxy_representation": "a message's text leaves its arguments out here",
    "test_redis.py::test_redis_unacked_messages_can_be_requeued": "calls RedisBroker's private scripts",
    "test_redis.py::test_redis_messages_can_be_dead_lettered": "reads RedisBroker's private keys",
    "test_redis.py::test_redis_dead_lettered_messages_are_cleaned_up": "dead letters never expire here",
    "test_redis.py::test_redis_messages_belonging_to_missing_actors_are_rejected": "reads RedisBroker's private keys",
    "test_redis.py::test_redis_requeues_unhandled_messages_on_shutdown": "reads RedisBroker's private keys",
    "test_redis.py::test_redis_requeues_unhandled_delay_messages_on_shutdown": "reads RedisBroker's private keys",
    "test_redis.py::test_redis_broker_can_connect_via_url": "connects to port 6379",
    "test_redis.py::test_redis_broker_can_connect_via_client": "connects to port 6379",
    "test_redis.py::test_redis_consumer_ack_can_retry_on_connection_error": "calls RedisBroker's private scripts",
    "test_redis.py::test_redis_consumer_nack_can_retry_on_connection_error": "calls RedisBroker's private scripts",
    "test_redis.py::test_redis_join_race_condition": "calls RedisBroker's private scripts",
    "test_stub_broker.py::test_stub_broker_raises_queue_error_when_consuming": "own to StubBroker",
    "test_stub_broker.py::test_stub_broker_can_be_flushed": "reads StubBroker's queue in memory",
    "test_stub_broker.py::test_stub_broker_respects_prefetch": "the prefetch adapts to the handlers' speed here",
}


def reason_to_exclude(test_id: str) -> str | None:
    """Return why a test is left out, None when it is run."""
    return next((reason for part, reason in REASONS.items() if part in test_id), None)
