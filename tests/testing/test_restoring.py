"""A harness takes the very service of an application, and gives it back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
import redis
from pydantic import BaseModel

from eventsys import Event, EventService, EventsysError, InvalidPayloadError, SettingsError
from eventsys.broker.worker import Worker
from eventsys.testing import EventHarness, SessionRedis


class Order(BaseModel):
    """A payload."""

    amount: int


@pytest.fixture
def service(redis_url: str) -> EventService:
    """A service with a Redis of its own, which a harness must not touch."""
    made = EventService(redis_url=redis_url, name="restored", app="tests")
    made.broker.link.call("FLUSHDB")
    made.on("a.b", name="h")(lambda event: None)
    return made


def _keys(service: EventService) -> list[bytes]:
    return sorted(service.broker.link.call("KEYS", "*"))


def test_the_application_keeps_its_own_redis_untouched(service: EventService, harness_redis: SessionRedis) -> None:
    before = service.publish("a.b", {}, id="before")
    assert service.get_metrics().total_events == 1  # counters are written when somebody reads them
    keys = _keys(service)
    with EventHarness(service, redis=harness_redis) as harness:
        assert service.get_metrics().total_events == 0
        service.publish("a.b", {}, id="meanwhile")
        harness.run()
        assert harness.delivered("h")
    assert service.get_event(before.id).id == "before"
    assert service.get_metrics().total_events == 1
    assert set(_keys(service)) - set(keys) == set()
    service.stop()


def test_after_a_harness_the_service_publishes_and_works_in_real_time(
    service: EventService, harness_redis: SessionRedis
) -> None:
    with EventHarness(service, redis=harness_redis) as harness:
        harness.advance(days=365)
    assert abs(service.broker.clock.now_ms() - service.broker.clock.real_ms()) < 60_000
    worker = Worker(service.broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        assert service.wait(service.publish("a.b", {}).id).deliveries[0].subscription == "h"
    finally:
        worker.stop()
        service.stop()


def test_one_test_sees_nothing_of_another(service: EventService, harness_redis: SessionRedis) -> None:
    for _ in range(2):
        with EventHarness(service, redis=harness_redis) as harness:
            assert harness.events.get_metrics().total_events == 0
            assert harness.pending() == []
            harness.publish("a.b", {}, id="one")
            harness.schedule("a.b", {}, delay="1h", id="two")
            harness.run()


def test_what_a_test_declares_goes_with_its_harness(service: EventService, harness_redis: SessionRedis) -> None:
    class Seen(dramatiq.Middleware):
        """Middleware of the test."""

    broker = service.broker
    middleware, actors, queues = list(broker.middleware), dict(broker.actors), set(broker.queues)
    with EventHarness(service, redis=harness_redis) as harness:
        service.on("a.b", name="own", queue="own-queue")(lambda event: None)
        service.subscribe("a.b", lambda event: None, name="run-time")
        service.type("order.placed", Order)
        service.cron("@hourly", name="own-task")(lambda: None)
        service.sweeps.add("own-sweep", timedelta(minutes=1), lambda now_ms: 0)
        service.broker.add_middleware(Seen())
        service.unsubscribe("a.b", "h")
        with pytest.raises(InvalidPayloadError):
            service.publish("order.placed", {"amount": "many"})
        harness.publish("a.b", {})
        harness.run()
        assert {one.subscription for one in harness.delivered()} == {"own", "run-time"}
    assert (broker.middleware, broker.actors, broker.queues) == (middleware, actors, queues)
    assert "own-sweep" not in service.sweeps.names()
    with EventHarness(service, redis=harness_redis) as harness:
        assert [task.name for task in service.cron.list().items] == []
        service.cron("@hourly", name="own-task")(lambda: None)
        service.publish("order.placed", {"amount": "many"})
        harness.publish("a.b", {})
        harness.run()
        assert {one.subscription for one in harness.delivered()} == {"h"}
    service.stop()


def test_a_service_with_a_worker_or_a_harness_is_refused(service: EventService, harness_redis: SessionRedis) -> None:
    with EventHarness(service, redis=harness_redis), pytest.raises(SettingsError, match="or another harness"):
        EventHarness(service, redis=harness_redis)
    worker = Worker(service.broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        with pytest.raises(SettingsError, match="a worker"):
            EventHarness(service, redis=harness_redis)
    finally:
        worker.stop()
        service.stop()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sweep_every": "hourly", "start": datetime(2026, 3, 1, tzinfo=UTC)}, "'hourly' is not a duration"),
        ({"sweep_every": 0}, "it must be some time"),
        ({"start": "2026-03-01"}, "is no aware datetime"),
    ],
)
def test_a_harness_that_cannot_be_made_leaves_the_service_alone(
    redis_client: redis.Redis, service: EventService, harness_redis: SessionRedis, options: dict[str, Any], said: str
) -> None:
    """It was left on the Redis of the test, with a clock that stood."""
    with pytest.raises(EventsysError, match=said):
        EventHarness(service, redis=harness_redis, **options)
    assert redis_client.dbsize() == 0
    service.publish("a.b", {})
    assert redis_client.dbsize() > 0
    assert abs(service.broker.clock.now_ms() - service.broker.clock.real_ms()) < 60_000


def test_a_closed_harness_says_so(service: EventService, harness_redis: SessionRedis) -> None:
    harness = EventHarness(service, redis=harness_redis)
    harness.close()
    harness.close()
    with pytest.raises(Exception, match="closed"):
        harness.run()


def test_two_services_have_harnesses_of_their_own(harness_redis: SessionRedis) -> None:
    def make() -> EventService:
        made = EventService(redis_url="redis://127.0.0.1:1/0", app="tests")
        made.on("a.b", name="h")(lambda event: None)
        return made

    with EventHarness(make(), redis=harness_redis) as one, EventHarness(make(), redis=harness_redis) as two:
        one.publish("a.b", {})
        two.run()
        one.run()
        assert (len(one.delivered()), len(two.delivered())) == (1, 0)


def test_a_handler_may_be_named_by_itself(service: EventService, harness_redis: SessionRedis) -> None:
    def handler(event: Event) -> None:
        """Handle."""

    def stranger(event: Event) -> None:
        """Handle nothing."""

    service.on("c.d", name="mine")(handler)
    with EventHarness(service, redis=harness_redis) as harness:
        harness.publish("c.d", {})
        harness.run()
        assert harness.delivered(handler)
        with pytest.raises(Exception, match="handles nothing"):
            harness.delivered(stranger)


def test_a_session_redis_goes_with_its_directory(server_binary: Any) -> None:
    redis = SessionRedis(server_binary)
    url = redis.start()
    directory = redis._directory
    assert directory is not None
    assert directory.is_dir()
    assert redis.start() == url
    redis.stop()
    redis.stop()
    assert not directory.exists()
