"""Publishing: what is stored, in how many round trips, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from eventsys import (
    BackpressureError,
    Event,
    EventConflictError,
    EventService,
    EventStatus,
    InvalidEventError,
    InvalidPayloadError,
    PartialPublishError,
    Priority,
)
from tests.support.payloads import Notification, Order
from tests.support.services import Services, commands_of, used_since
from tests.support.waiting import eventually


@pytest.mark.redis62
def test_publish_takes_one_round_trip(events: EventService, redis_client: redis.Redis) -> None:
    events.publish("a.b", {})
    before = commands_of(redis_client)
    events.publish("a.b", {"n": 1})
    assert used_since(redis_client, before).get("evalsha") == 1
    assert {"eval", "get", "hget", "multi", "time"}.isdisjoint(set(used_since(redis_client, before)) - SCRIPT_COMMANDS)


#: What the script that stores an event calls itself.
SCRIPT_COMMANDS = {"get", "hget", "evalsha"}


def test_publish_returns_the_event_with_every_field(events: EventService) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = events.publish(
        "a.b", {"n": 1}, source="here", priority=Priority.HIGH, id="my-1", time=moment, version=3, correlation_id="c",
        headers={"traceparent": "t"}, idempotency_key="k",
    )  # fmt: skip
    assert isinstance(event, Event)
    assert event.model_dump() == {
        "id": "my-1", "type": "a.b", "payload": {"n": 1}, "source": "here", "time": moment, "version": 3,
        "priority": Priority.HIGH, "correlation_id": "c", "causation_id": None, "headers": {"traceparent": "t"},
        "idempotency_key": "k", "depth": 0,
    }  # fmt: skip
    stored = events.get_event("my-1")
    assert stored.model_dump(include=set(Event.model_fields)) == event.model_dump()
    assert stored.status is EventStatus.PENDING


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"event_type": "User Login"}, "did you mean 'user.login'"),
        ({"event_type": "user.*"}, "wildcards are for subscriptions"),
        ({"event_type": ["a"]}, "an event type is text, not list"),
        ({"payload": [1]}, "payload"),
        ({"payload": {"x": float("nan")}}, "JSON has no number for"),
        ({"payload": {"x": b"1"}}, "base64"),
        ({"payload": {"x": "a" * 300_000}}, "262144"),
        ({"headers": {"a": 1}}, "text"),
        ({"headers": ["a"]}, "headers are a dictionary"),
        ({"id": ""}, "id"),
        ({"priority": 3}, "use one of"),
        ({"time": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001 - that is the point
        ({"time": "now"}, "aware datetime"),
        ({"version": 0}, "version"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "k", "window": 0}, "at least a millisecond"),
        ({"max_retries": -1}, "whole number"),
        ({"max_retries": True}, "whole number"),
        ({"max_retries": 2.5}, "whole number"),
    ],
)
def test_what_no_worker_could_read_is_refused(events: EventService, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidEventError, match="(?s)" + says.replace("*", r"\*")):
        events.publish(**{"event_type": "a.b", "payload": {}, **fields})
    assert events.get_metrics().total_events == 0


def test_a_payload_nested_too_deep_is_refused(events: EventService) -> None:
    payload: dict[str, Any] = {}
    for _ in range(64):
        payload = {"inner": payload}
    with pytest.raises(InvalidEventError, match="deeper than 64"):
        events.publish("a.b", payload)


def test_a_registered_type_refuses_what_does_not_fit(events: EventService) -> None:
    events.type("user.notification", Notification, version=2)
    with pytest.raises(InvalidPayloadError, match=r"user_id: Field required$"):
        events.publish("user.notification", {"title": "x"})
    assert events.publish("user.notification", {"user_id": "1"}).version == 2


def test_a_built_in_type_refuses_what_does_not_fit(events: EventService) -> None:
    with pytest.raises(InvalidPayloadError):
        events.publish("system.error", {})


def test_a_registered_model_needs_no_type(events: EventService) -> None:
    events.type("user.notification", Notification)
    event = events.publish(Notification(user_id="1"))
    assert (event.type, event.payload) == ("user.notification", Notification(user_id="1"))
    with pytest.raises(InvalidEventError, match=r"events\.type\('\.\.\.', Order\)"):
        events.publish(Order(amount=1))


def test_an_event_that_exists_already_is_published_as_it_is(services: Services) -> None:
    left, right = services.make(), services.make()
    event = left.publish("a.b", {"n": 1}, source="left")
    assert right.publish(event) == event
    assert right.get_event(event.id).source == "left"


@pytest.mark.redis62
def test_the_same_event_again_is_a_duplicate(events: EventService) -> None:
    first = events.publish("a.b", {"n": 1}, id="mine", source="s")
    second = events.publish("a.b", {"n": 1}, id="mine", source="s")
    assert (first.duplicate, second.duplicate) == (False, True)
    assert second.time == first.time
    assert events.get_metrics().total_events == 1


def test_the_very_same_envelope_again_is_a_duplicate_too(events: EventService) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert not events.publish("a.b", {}, id="mine", time=moment).duplicate
    assert events.publish("a.b", {}, id="mine", time=moment).duplicate


def test_a_duplicate_has_a_payload_of_the_kind_that_was_published(events: EventService) -> None:
    for _ in range(2):
        event = events.publish("a.b", Notification(user_id="1"), id="mine")
        assert event.payload == Notification(user_id="1")


@pytest.mark.parametrize("other", [{"payload": {"n": 2}}, {"event_type": "a.c"}, {"source": "x"}, {"version": 2}])
def test_an_id_that_is_taken_by_other_content_is_a_conflict(events: EventService, other: dict[str, Any]) -> None:
    given = {"event_type": "a.b", "payload": {"n": 1}, "id": "mine"}
    events.publish(**given)
    with pytest.raises(EventConflictError, match="'mine' is stored already") as caught:
        events.publish(**{**given, **other})
    assert caught.value.event_id == "mine"


@pytest.mark.redis62
def test_an_idempotency_key_returns_the_first_event(events: EventService) -> None:
    first = events.publish("a.b", {"n": 1}, idempotency_key="order-1")
    second = events.publish("a.b", {"n": 2}, idempotency_key="order-1")
    assert second.id == first.id
    assert second.payload == {"n": 1}
    assert second.duplicate
    assert events.publish("a.b", {"n": 3}, idempotency_key="order-2").id != first.id


def test_an_idempotency_key_is_forgotten_after_its_window(events: EventService) -> None:
    first = events.publish("a.b", {}, idempotency_key="k", window="1ms")
    until = events.broker.clock.now_ms() + 2
    while events.broker.clock.now_ms() < until:
        pass
    assert events.publish("a.b", {}, idempotency_key="k").id != first.id


def test_threads_share_round_trips(events: EventService, redis_client: redis.Redis) -> None:
    """What comes while one is under way goes together with the next one."""
    events.publish("a.b", {})
    trips = events.bus.publisher._trips
    send = trips._send

    def send_when_all_have_come(steps: list[Any]) -> Any:
        trips._send = send
        eventually(lambda: len(steps) + len(trips._waiting) == 8)
        return send(steps)

    trips._send = send_when_all_have_come
    before = commands_of(redis_client)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: events.publish("a.b", {"n": n}).payload["n"], range(8)))
        assert used_since(redis_client, before)["evalsha"] <= 2
        found += threads.map(lambda n: events.publish("a.b", {"n": n}).payload["n"], range(8, 1_600))
    assert found == list(range(1_600))
    assert events.get_metrics().total_events == 1_601


def test_a_thousand_coroutines_take_few_round_trips(events: EventService, redis_client: redis.Redis) -> None:
    async def publish_all() -> list[Event]:
        return await asyncio.gather(*(events.apublish("a.b", {"n": n}) for n in range(1_000)))

    events.publish("a.b", {})
    before, threads = commands_of(redis_client), threading.active_count()
    published = asyncio.run(publish_all())
    assert [event.payload["n"] for event in published] == list(range(1_000))
    assert used_since(redis_client, before)["evalsha"] < 100
    assert threading.active_count() <= threads + 1


def test_a_cancelled_coroutine_does_not_disturb_the_others(events: EventService) -> None:
    async def publish_some() -> list[Any]:
        tasks = [asyncio.create_task(events.apublish("a.b", {"n": n})) for n in range(100)]
        await asyncio.wait(tasks[:1], return_when=asyncio.FIRST_COMPLETED, timeout=0)
        for task in tasks[::2]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    events.publish("a.b", {})
    outcomes = asyncio.run(publish_some())
    assert all(isinstance(one, Event) for one in outcomes[1::2])


@pytest.mark.redis62
def test_publish_many_stores_pairs_mappings_models_and_events(events: EventService) -> None:
    events.type("user.notification", Notification)
    ready = events.publish("x.y", {})
    published = events.publish_many(
        [
            ("a.b", {"n": 1}),
            {"event_type": "a.c", "payload": {"n": 2}, "source": "s"},
            Notification(user_id="1"),
            ready,
        ]
    )
    assert [event.type for event in published] == ["a.b", "a.c", "user.notification", "x.y"]
    assert [event.duplicate for event in published] == [False, False, False, True]


def test_publish_many_checks_all_before_it_stores_any(events: EventService) -> None:
    with pytest.raises(InvalidEventError):
        events.publish_many([("a.b", {}), ("NOT A TYPE", {})])
    assert events.get_metrics().total_events == 0


def test_publish_many_stores_500_in_one_round_trip(events: EventService, redis_client: redis.Redis) -> None:
    events.publish("a.b", {})
    before = commands_of(redis_client)
    events.publish_many([("a.b", {"n": n}) for n in range(500)])
    assert used_since(redis_client, before)["evalsha"] == 1


def test_publish_many_tells_what_is_stored_when_an_id_is_taken(events: EventService) -> None:
    events.publish("a.b", {"n": 0}, id="taken")
    given = [{"event_type": "a.b", "payload": {"n": n}, "id": f"e{n}"} for n in range(3)]
    given[1]["id"] = "taken"
    with pytest.raises(PartialPublishError) as caught:
        events.publish_many(given)
    assert [event.id for event in caught.value.published] == ["e0", "e2"]
    assert [event.id for event in caught.value.refused] == ["taken"]


def test_when_redis_is_full_publish_says_so_and_what_is_stored_is_handled(fresh_redis: Any, services: Services) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url)
    seen: list[str] = []
    events.on("a.b", name="h")(lambda event: seen.append(event.id))
    before = [events.publish("a.b", {"n": n}) for n in range(20)]
    with memory_limit(server.url):
        with pytest.raises(BackpressureError):
            events.publish("a.b", {})
        services.work(events)
        for event in before:
            events.wait(event.id, "60s")
    assert sorted(seen) == sorted(event.id for event in before)


def test_publish_many_beyond_500_tells_what_is_stored_when_redis_fills(fresh_redis: Any, services: Services) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url)
    events.publish("a.b", {})
    send = events.bus.publisher._trips._send

    def send_then_fill(steps: list[Any]) -> list[Any]:
        results = send(steps)
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory", 1)
        return results

    events.bus.publisher._trips._send = send_then_fill
    with pytest.raises(PartialPublishError) as caught:
        events.publish_many([("a.b", {"n": n}) for n in range(1_200)])
    assert (len(caught.value.published), len(caught.value.refused)) == (500, 700)
    assert isinstance(caught.value.__cause__, BackpressureError)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 0)


@contextmanager
def memory_limit(url: str) -> Iterator[None]:
    """Let a Redis be full."""
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


def test_the_bus_takes_events_as_the_service_does(events: EventService) -> None:
    """`events.bus` is public, with the verbs of the service; what it publishes is an event, whoever made it."""
    moment = datetime(2026, 11, 26, tzinfo=UTC)
    made = [Event(id=f"my-{n}", type="a.b", payload={"n": n}, time=moment) for n in range(3)]
    events.bus.subscribe("a.b", lambda event: None, name="h")
    published = [
        events.bus.publish(made[0]),
        events.bus.publish_async(made[1]).result(60),
        asyncio.run(events.bus.apublish(made[2])),
    ]
    assert published == made
    assert [events.get_event(one.id).payload for one in made] == [one.payload for one in made]
    with pytest.raises(TypeError, match=r"Event\(\.\.\.\) is wanted here, not str"):
        events.bus.publish("a.b")  # type: ignore[arg-type]


def test_a_service_that_is_stopped_and_used_again_leaves_no_threads_behind(services: Services) -> None:
    events, before = services.make(), set(threading.enumerate())
    for _ in range(3):
        asyncio.run(events.apublish("a.b", {}))
        events.stop()
    assert [one.name for one in threading.enumerate() if one not in before].count("eventsys-courier") == 1
