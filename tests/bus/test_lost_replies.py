"""Publishing over a network that loses replies, and to a Redis that is away."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventsys import (
    BackpressureError,
    EventConflictError,
    EventService,
    EventStatus,
    EventsysError,
    PublishUnknownError,
    RedisRefusedError,
    RedisUnavailableError,
    SettingsError,
)
from eventsys.store import link
from eventsys.store.channel import REPLY_TIMEOUT_S
from eventsys.store.urls import connection_maker, greet
from tests.conftest import NOWHERE, FreshRedis
from tests.support.proxy import CuttingProxy
from tests.support.services import Services


@pytest.fixture
def proxy(redis_url: str) -> Iterator[CuttingProxy]:
    made = CuttingProxy(redis_url)
    yield made
    made.close()


@pytest.fixture
def far(services: Services, proxy: CuttingProxy) -> EventService:
    """A service that reaches Redis through the proxy, and has been there."""
    service = services.make(redis_url=proxy.url)
    service.publish("x.y", {})
    return service


@pytest.mark.redis62
def test_a_lost_reply_is_asked_for_again_and_the_event_stored_once(far: EventService, proxy: CuttingProxy) -> None:
    proxy.lose_replies(1)
    event = far.publish("a.b", {"n": 1})
    assert proxy.lost == 1
    assert not event.duplicate
    assert far.get_metrics().total_events == 2


def test_a_reply_lost_twice_is_unknown_and_the_same_call_again_is_safe(far: EventService, proxy: CuttingProxy) -> None:
    proxy.lose_replies(2)
    with pytest.raises(PublishUnknownError, match="safe") as caught:
        far.publish("a.b", {"n": 1}, id="mine")
    assert caught.value.event_id == "mine"
    assert far.publish("a.b", {"n": 1}, id="mine").duplicate
    assert far.get_metrics().total_events == 2


def test_a_refusal_after_a_lost_reply_is_unknown_too(
    far: EventService, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal says that nothing was stored, and the first time may have stored it before Redis was full."""
    evaluate, tries = link._evaluate, list[str]()

    def full_the_second_time(channel: Any, script: Any, arguments: Any) -> Any:
        tries.append(script.name)
        if tries.count("add") == 2 and script.name == "add":
            raise BackpressureError("Redis is full by now")
        return evaluate(channel, script, arguments)

    monkeypatch.setattr(link, "_evaluate", full_the_second_time)
    proxy.lose_replies(1)
    with pytest.raises(PublishUnknownError, match="may or may not be stored"):
        far.publish("a.b", {"n": 1}, id="mine")
    assert far.publish("a.b", {"n": 1}, id="mine").duplicate
    assert tries.count("add") == 3


def test_a_buffered_event_whose_reply_was_lost_is_no_duplicate(far: EventService, proxy: CuttingProxy) -> None:
    proxy.lose_replies(3)
    assert not far.publish_async("a.b", {"n": 1}).result(timeout=60).duplicate
    assert proxy.lost == 3
    assert far.get_metrics().total_events == 2


def test_a_scheduled_event_whose_reply_was_lost_is_no_conflict(far: EventService, proxy: CuttingProxy) -> None:
    proxy.lose_replies(1)
    delayed = far.schedule("a.b", {}, delay="1h")
    assert proxy.lost == 1
    assert far.cancel(delayed.id).status is EventStatus.CANCELLED
    far.schedule("a.b", {}, delay="1h", id="mine")
    with pytest.raises(EventConflictError, match="delayed or published already"):
        far.schedule("a.b", {}, delay="1h", id="mine")


def test_a_lost_answer_about_the_memory_of_redis_is_asked_for_again(far: EventService, proxy: CuttingProxy) -> None:
    """Who publishes after a while looks whether there is room first; nothing was published then."""
    far.broker.work.room.forget()
    proxy.lose_replies(1, after=b"INFO")
    assert far.publish("a.b", {}).type == "a.b"
    assert proxy.lost == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_an_inline_handler_runs_once_although_replies_are_lost(
    services: Services, proxy: CuttingProxy, lost: int
) -> None:
    events = services.make(redis_url=proxy.url)
    seen: list[str] = []
    events.on("a.b", name="inline", async_=False)(lambda event: seen.append(event.id))
    events.publish("a.b", {}, id="first")
    proxy.lose_replies(lost, after=b"second")  # whatever else the process says meanwhile
    if lost == 1:
        events.publish("a.b", {}, id="second")
    else:
        with pytest.raises(PublishUnknownError):
            events.publish("a.b", {}, id="second")
        services.work(events)
        events.bus.tending.make_round()
    assert events.wait("second").status is EventStatus.DELIVERED
    assert seen == ["first", "second"]
    services.close()  # while the proxy is there: a worker that has something to commit waits for its Redis


def test_a_redis_that_is_away_is_told_within_the_connect_timeout(services: Services) -> None:
    events = services.make(redis_url="redis://127.0.0.1:1/0", connect_timeout="500ms")
    began_at = time.monotonic()
    with pytest.raises(RedisUnavailableError, match="Redis") as caught:
        events.publish("a.b", {})
    assert not isinstance(caught.value, PublishUnknownError)
    assert time.monotonic() - began_at < REPLY_TIMEOUT_S


def test_a_redis_that_hangs_is_told_within_the_connect_timeout_too(
    services: Services, fresh_redis: Callable[[], FreshRedis]
) -> None:
    """The kernel connects to it all the same; only its first reply does not come."""
    server = fresh_redis()
    events = services.make(redis_url=server.url, connect_timeout="500ms")
    os.kill(server.pid, signal.SIGSTOP)
    began_at = time.monotonic()
    try:
        with pytest.raises(RedisUnavailableError, match="Redis") as caught:
            events.publish("a.b", {})
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert not isinstance(caught.value, PublishUnknownError)
    assert time.monotonic() - began_at < REPLY_TIMEOUT_S


def test_a_reply_may_take_longer_than_a_connect(services: Services, fresh_redis: Callable[[], FreshRedis]) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url, connect_timeout="1s")
    events.publish("a.b", {})
    os.kill(server.pid, signal.SIGSTOP)
    threading.Timer(2.5, os.kill, (server.pid, signal.SIGCONT)).start()
    assert not events.publish("a.b", {}).duplicate
    assert events.get_metrics().total_events == 2


def test_sentinels_that_are_away_are_told_too(services: Services) -> None:
    events = services.make(redis_url="redis+sentinel://127.0.0.1:1,127.0.0.1:2/main", connect_timeout="200ms")
    with pytest.raises(RedisUnavailableError) as caught:
        events.publish("a.b", {})
    assert str(caught.value) == (
        "no sentinel names a master 'main' that is up; no answer from 127.0.0.1:1, 127.0.0.1:2"
    )


def test_what_is_special_in_a_password_is_written_for_sentinels_as_for_a_single_redis() -> None:
    for kind, path in (("redis", "0"), ("redis+sentinel", "main")):
        made = connection_maker(f"{kind}://a%40b:{'p%2Fw'}@127.0.0.1:1/{path}", greet, connect_timeout_s=1)()
        assert (made.username, made.password) == ("a@b", "p/w")


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis+sentinel://", "127.0.0.1:6379"])
def test_a_url_of_no_known_kind_is_refused_with_the_kinds(services: Services, url: str) -> None:
    events = services.make(redis_url=url)
    with pytest.raises(SettingsError, match="redis://"):
        events.publish("a.b", {})


def test_a_bus_of_a_newer_format_is_refused(services: Services) -> None:
    events = services.make()
    events.broker.link.call("SET", events.broker.keys.format, 99)
    with pytest.raises(SettingsError, match="format 99"):
        events.publish("a.b", {})
    with pytest.raises(SettingsError, match="format 99"):
        services.work(events)
    services._workers.pop()


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_refusal_after_a_lost_reply_does_not_say_that_nothing_is_stored(services: Services, is_lost: bool) -> None:
    events = services.make(redis_url=NOWHERE)
    lost = RedisUnavailableError("Redis is away")
    lost.may_have_run = is_lost
    fates = iter([lost, RedisRefusedError("no permission")])

    def refuse(drafts: list[Any], may_be_stored: bool) -> Any:
        raise next(fates)

    events.bus.publisher.buffer._publish = refuse
    receipt = events.publish_async("a.b", {})
    with pytest.raises(EventsysError, match="no permission") as told:
        receipt.result(timeout=60)
    assert isinstance(told.value, PublishUnknownError if is_lost else RedisRefusedError)
    assert getattr(told.value, "event_id", receipt.event.id) == receipt.event.id
