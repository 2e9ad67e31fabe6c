"""What the system says of itself."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest
import redis

from eventsys import Event, EventFilter, EventService
from eventsys.bus import system_events
from eventsys.errors import RedisUnavailableError
from eventsys.model.builtin_payloads import SystemStarted
from tests.support.proxy import CuttingProxy
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]


@pytest.fixture(autouse=True)
def _say_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Redis decide about every report, not the memory of the process."""
    monkeypatch.setattr(system_events, "SAID_S", 0.0)


def told(events: EventService, event_type: str = "system.warning") -> list[dict[str, Any]]:
    """Return the payloads of what was published, oldest first."""
    assert events.bus.system.flush(60)
    found = events.get_event_records(EventFilter(types=(event_type,), order="oldest"))
    return [one.payload for one in found.items]


def system_troubles(events: EventService) -> int:
    assert events.bus.system.flush(60)
    return int(events.broker.link.call("HGET", events.broker.keys.counts, "system_troubles") or 0)


@pytest.mark.redis62
def test_a_trouble_is_published_once_when_it_begins_and_once_when_it_ends(events: EventService) -> None:
    for _ in range(3):
        events.bus.system.warn("disk:a", "the disk is full; empty it", details={"free": 0})
    for _ in range(3):
        events.bus.system.over("disk:a", "the disk has room again")
    warnings = told(events)
    assert [(one["message"], one["rule"], one["ended"], one["details"]) for one in warnings] == [
        ("the disk is full; empty it", "disk", False, {"free": 0}),
        ("the disk has room again", "disk", True, {}),
    ]


def test_what_two_processes_report_is_published_once(services: Services, events: EventService) -> None:
    other = services.make(name=events.settings.name)
    for one in (events, other):
        one.bus.system.warn("disk:a", "full")
        assert one.bus.system.flush(60)
    assert len(told(events)) == 1
    assert [trouble.key for trouble in other.bus.system.troubles()] == ["disk:a"]
    other.bus.system.over("disk:a", "has room")
    assert len(told(other)) == 2
    assert not events.bus.system.troubles()


def test_a_trouble_that_ended_may_begin_again(events: EventService) -> None:
    for _ in range(2):
        events.bus.system.warn("disk:a", "full")
        events.bus.system.over("disk:a", "has room")
    assert [one["ended"] for one in told(events)] == [False, True, False, True]


def test_the_end_is_published_as_what_it_began_as(events: EventService) -> None:
    events.bus.system.error("disk:a", "broken")
    events.bus.system.over("disk:a", "mended")
    assert [one["ended"] for one in told(events, "system.error")] == [False, True]
    assert told(events) == []


def test_the_end_of_what_never_began_is_not_published(events: EventService) -> None:
    events.bus.system.over("disk:a", "fine, as always")
    assert told(events) == []


def test_a_trouble_that_lasts_a_while_is_over_by_itself(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = events.broker.clock.now_ms()
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms)
    events.bus.system.warn("disk:a", "full", lasts="1h")
    assert len(told(events)) == 1
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms + 3_599_000)
    events.bus.system.warn("disk:a", "full", lasts="1h")
    assert len(told(events)) == 1
    assert len(events.bus.system.troubles()) == 1
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms + 3_700_000)
    assert events.bus.system.troubles() == []
    events.bus.system.warn("disk:a", "full", lasts="1h")
    assert len(told(events)) == 2


def test_what_is_said_in_a_hot_path_is_sent_once_a_second_at_most(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_events, "SAID_S", 60.0)
    sent: list[Any] = []
    monkeypatch.setattr(events.bus.system._reporter, "put", sent.append)
    for _ in range(1_000):
        events.bus.system.warn("disk:a", "full")
    assert len(sent) == 1
    events.bus.system.over("disk:a", "room")
    events.bus.system.warn("disk:a", "full")
    assert len(sent) == 3


def test_trouble_about_a_system_event_is_counted_and_not_published(events: EventService) -> None:
    events.bus.system.warn("letters:pager", "a warning could not be delivered", about="system.warning")
    events.bus.system.error("letters:pager", "nor this", about="system.error")
    assert system_troubles(events) == 2
    assert told(events) == told(events, "system.error") == []
    events.bus.system.warn("letters:mailer", "a mail could not be delivered", about="mail.sent")
    assert len(told(events)) == 1


def test_trouble_while_a_system_event_is_handled_is_counted_and_not_published(
    events: EventService, quick_work: Work
) -> None:
    @events.on("system.warning", name="pager")
    def page(event: Event) -> None:
        events.bus.system.warn(f"pager:{event.id}", "the pager is broken")

    quick_work()
    events.bus.system.warn("disk:a", "full")
    eventually(lambda: system_troubles(events) == 1)
    assert [one["message"] for one in told(events)] == ["full"]


def test_nothing_is_raised_where_something_is_said(events: EventService) -> None:
    events.bus.system.warn("disk:a", "full", details={"what": object()})
    events.bus.system.warn("disk:b", "x" * 1_000_000, details={"free": 1})
    assert [len(one["message"]) for one in told(events)] == [1_000]
    assert events.bus.system.dropped == 1


def test_what_is_said_while_redis_is_away_is_published_once_it_is_back(
    fresh_redis: Callable[[], Any], services: Services
) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url)
    events.publish("x.y", {})
    server.kill()
    events.bus.system.warn("disk:a", "full")
    assert not events.bus.system.flush(0.2)
    server.start()
    assert events.bus.system.flush(60)
    assert [one["message"] for one in told(events)] == ["full"]


def test_a_lost_reply_publishes_nothing_twice(services: Services, redis_url: str) -> None:
    proxy = CuttingProxy(redis_url)
    events = services.make(redis_url=proxy.url)
    events.publish("x.y", {})
    proxy.lose_replies(1)
    events.bus.system.say("system.startup", SystemStarted(host="h", pid=1, version="0"))
    events.bus.system.warn("disk:a", "full")
    assert len(told(events, "system.startup")) == 1
    assert len(told(events)) == 1
    assert proxy.lost == 1
    proxy.close()


@pytest.mark.redis62
def test_a_warning_is_published_at_the_memory_limit(fresh_redis: Callable[[], Any], services: Services) -> None:
    server = fresh_redis()
    with redis.Redis.from_url(server.url) as client:
        events = services.make(redis_url=server.url)
        events.publish("x.y", {})
        client.config_set("maxmemory", 1)
        events.bus.system.warn("memory", "Redis is full")
        assert len(told(events)) == 1
        client.config_set("maxmemory", 0)


def test_troubles_beyond_the_limit_are_counted(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventsys.store.troubles.MOST_TROUBLES", 2)
    for number in range(4):
        events.bus.system.warn(f"disk:{number}", "full")
    assert len(told(events)) == 2
    assert system_troubles(events) == 2


def test_what_is_over_by_itself_leaves_room_for_what_begins(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every dead process is a trouble with a key of its own, which nobody calls over and which never comes again."""
    monkeypatch.setattr("eventsys.store.troubles.MOST_TROUBLES", 3)
    now_ms = events.broker.clock.now_ms()
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms)
    events.bus.system.warn("disk:a", "full")
    for number in range(2):
        events.bus.system.warn(f"process:{number}", "gone", lasts="1h")
    events.bus.system.warn("process:3", "gone", lasts="1h")
    assert system_troubles(events) == 1
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms + 3_700_000)
    events.bus.system.warn("process:4", "gone", lasts="1h")
    assert system_troubles(events) == 1
    assert [trouble.key for trouble in events.bus.system.troubles()] == ["disk:a", "process:4"]


def away(*_: object) -> None:
    raise RedisUnavailableError("gone")


def test_what_waits_is_bounded_and_how_much_is_lost_is_logged_at_the_end(
    events: EventService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("eventsys.store.troubles.TroubleStore.report", away)
    for number in range(2_000):
        events.bus.system.warn(f"disk:{number}", "full")
    dropped = events.bus.system.dropped
    assert dropped >= 2_000 - 2 * 256
    events.bus.system.close(0.0)
    assert f"{dropped} system events were dropped" in caplog.text


def test_how_much_was_lost_is_logged_once_when_redis_is_back(
    events: EventService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("eventsys.bus.reporter._RETRY_S", 0.01)
    with monkeypatch.context() as outage:
        outage.setattr("eventsys.store.troubles.TroubleStore.report", away)
        for number in range(600):
            events.bus.system.warn(f"disk:{number}", "full")
    assert events.bus.system.flush(60)
    events.bus.system.warn("disk:last", "full")
    assert events.bus.system.flush(60)
    assert caplog.text.count(f"{events.bus.system.dropped} system events were dropped") == 1


def _warn(events: EventService) -> None:
    events.bus.system.warn("disk:child", "full")


def test_a_forked_child_publishes_before_it_ends(events: EventService) -> None:
    events.bus.system.warn("disk:parent", "full")
    child = multiprocessing.get_context("fork").Process(target=_warn, args=(events,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    eventually(lambda: len(told(events)) == 2)
    assert {trouble.key for trouble in events.bus.system.troubles()} == {"disk:parent", "disk:child"}
