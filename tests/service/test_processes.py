"""What is told of the processes of a bus."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from eventsys import Event, EventFilter, EventService
from eventsys.store.keys import GROUP
from eventsys.version import __version__
from tests.support.services import Services
from tests.support.waiting import eventually


def _told(events: EventService, event_type: str) -> list[dict[str, Any]]:
    assert events.bus.system.flush(5.0)
    return [one.payload for one in events.get_event_records(EventFilter(types=(event_type,), order="oldest")).items]


def _nothing(event: Event) -> None:
    """Succeed."""


@pytest.mark.redis62
def test_a_worker_tells_that_it_begins_and_that_it_ends(services: Services, worker_class: Any) -> None:
    events = services.make(announce=True)
    events.on("a.*", name="first")(_nothing)
    events.on("b.*", name="second")(_nothing)
    worker = services.work(events, worker_class)
    [started] = _told(events, "system.startup")
    own = {"host": socket.gethostname(), "pid": os.getpid(), "version": __version__, "role": "worker"}
    assert started == own | {"subscriptions": ["first", "second"]}
    assert _told(events, "system.shutdown") == []
    worker.stop()
    [stopped] = _told(events, "system.shutdown")
    assert stopped.pop("uptime_seconds") >= 0
    assert stopped == own | {"reason": "stopped"}


def test_a_worker_of_some_queues_tells_only_of_what_it_handles(services: Services, worker_class: Any) -> None:
    events = services.make(announce=True)
    events.on("a.*", name="here", queue="q")(_nothing)
    events.on("a.*", name="elsewhere")(_nothing)
    services.work(events, worker_class, queues={"q"})
    assert [one["subscriptions"] for one in _told(events, "system.startup")] == [["here"]]


def test_a_process_with_run_time_handlers_beside_its_worker_tells_once(services: Services) -> None:
    events = services.make(announce=True)
    worker = services.work(events)
    events.subscribe("a.*", _nothing, name="later")
    events.start()
    worker.stop()
    assert len(_told(events, "system.startup")) == 1
    assert _told(events, "system.shutdown") == []
    events.stop()
    assert len(_told(events, "system.shutdown")) == 1


def test_a_process_without_workers_tells_by_hand(events: EventService) -> None:
    events.bus.lifecycle.end()
    events.bus.lifecycle.begin("scheduler")
    events.bus.lifecycle.end("told to")
    events.bus.lifecycle.end()
    assert [one["role"] for one in _told(events, "system.startup")] == ["scheduler"]
    assert [one["reason"] for one in _told(events, "system.shutdown")] == ["told to"]


def test_no_worker_announces_itself_where_that_is_switched_off(services: Services) -> None:
    events = services.make(announce=False)
    services.work(events).stop()
    assert _told(events, "system.startup") == _told(events, "system.shutdown") == []


def test_of_a_dead_process_it_is_warned_once(services: Services, events: EventService) -> None:
    broker, keys = events.broker, events.broker.keys
    events.publish("a.b", {})
    broker.link.call("XGROUP", "CREATE", keys.log(5), GROUP, "0")
    broker.link.call("XREADGROUP", "GROUP", GROUP, "dead-1", "STREAMS", keys.log(5), ">")
    broker.link.call("ZADD", keys.processes, 1, "dead-1")
    others = [events, services.make(name=events.settings.name)]
    for one in others:
        services.work(one)
    eventually(lambda: _told(events, "system.warning"))
    [warning] = _told(events, "system.warning")
    assert warning["details"] == {"worker": "dead-1", "moved": 1}
    assert [one.key for one in events.bus.system.troubles()] == ["process:dead-1"]


def test_a_process_that_hangs_says_so_before_it_is_replaced(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr("eventsys.broker.broker.os._exit", codes.append)
    message: Any = type("Message", (), {"actor_name": "h"})()
    events.broker._recycle(message, TimeoutError())
    [error] = _told(events, "system.error")
    assert error["rule"] == "stuck"
    assert error["details"]["actor"] == "h"
    assert codes == [70]
    events.broker.work.is_ending = False
