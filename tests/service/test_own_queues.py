"""The queue of a run-time subscription: it is forgotten with it, in Redis and in every process, and never too early."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from eventsys import Event, EventService, EventStatus, SubscriptionOptions
from eventsys.broker.in_flight import InFlight
from eventsys.bus.settling import OWN_QUEUE, own_queue_of
from eventsys.model.priority import LANES
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.scripts import script
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def host(services: Services) -> EventService:
    """A process that runs what it subscribes at run time."""
    host = services.make()
    host.start()
    return host


@pytest.fixture
def other(services: Services, host: EventService) -> EventService:
    """Another one, which dispatches."""
    other = services.make(name=host.settings.name)
    services.work(other, queues={LOG_QUEUE})
    return other


def _handle(event: Event) -> None:
    """Do nothing."""


def _has_handled(host: EventService, other: EventService, name: str) -> bool:
    host.subscribe("a.b", _handle, name=name)
    return other.wait(other.publish("a.b", {}).id).status is EventStatus.DELIVERED


def _in_redis(events: EventService) -> set[str]:
    """Return what is in Redis of queues that belong to one subscription."""
    link, keys = events.broker.link, events.broker.keys
    lanes = {key.decode() for key in link.call("KEYS", f"{keys.prefix}:queue:{OWN_QUEUE}*")}
    named = {name.decode() for key in (keys.queues, keys.queues_paused) for name in link.call("SMEMBERS", key)}
    process = link.call("HGET", keys.process(events.broker.presence.name), "queues") or b""
    named |= set(process.decode().split(","))
    return lanes | {name for name in named if name.startswith(OWN_QUEUE)}


def _in_process(events: EventService) -> set[str]:
    """Return the queues that a process remembers, of those that belong to one subscription."""
    broker = events.broker
    in_flight, reading, told = broker.work.in_flight, broker.presence.queues, broker.work.queue_names._told
    remembered = {*in_flight._held, *in_flight._handled, *reading._names, *reading._leftovers, *reading._readers}
    return {name for name in {*remembered, *reading.left, *told, *broker.queues} if name.startswith(OWN_QUEUE)}


@pytest.mark.redis62
def test_names_that_come_and_go_leave_no_queues_behind(host: EventService, other: EventService) -> None:
    for name in ("first", "second"):
        assert _has_handled(host, other, name)
        assert own_queue_of(name) in _in_redis(host) & _in_process(host)
        host.unsubscribe("a.b", name)
    eventually(lambda: not _in_redis(host) and not _in_process(host))
    assert host.broker.work.in_flight.handled_in_all() == 2
    assert not {"first", "second"} & host.broker.actors.homes.keys()  # type: ignore[attr-defined]


def test_what_is_deleted_elsewhere_leaves_no_queue_behind(host: EventService, other: EventService) -> None:
    assert _has_handled(host, other, "mine")
    other.subscriptions.delete("mine")
    eventually(lambda: not _in_redis(host) and not _in_process(host))


def test_what_ends_with_its_process_leaves_no_queue_behind(host: EventService, other: EventService) -> None:
    assert _has_handled(host, other, "mine")
    host.stop()
    assert _in_redis(other) == set()


def test_the_queue_of_a_dead_process_goes_when_what_it_had_is_settled(
    services: Services, host: EventService, other: EventService
) -> None:
    dead = services.make(name=host.settings.name)
    dead.subscribe("a.b", _handle, name="mine")
    link, keys, queue = host.broker.link, host.broker.keys, own_queue_of("mine")
    link.run(script("create_groups"), keys.prefix, *(keys.lane(queue, lane) for lane in LANES))
    assert len(_in_redis(host)) == 1 + len(LANES)
    presence: Any = dead.broker.presence
    presence._stop.set()
    presence._hurry.set()
    presence._thread.join()  # it says nothing more
    link.call("ZADD", keys.processes, 0, presence.name)

    def is_gone() -> bool:
        other.broker.presence.scan()
        other.bus.tending.make_round()
        return not _in_redis(host)

    eventually(is_gone)


def test_what_is_subscribed_again_and_again_loses_nothing(host: EventService, other: EventService) -> None:
    """Each time its queue may be about to be forgotten, and its former threads about to end."""
    for _ in range(8):
        assert _has_handled(host, other, "mine")
        host.unsubscribe("a.b", "mine")
    assert _has_handled(host, other, "mine")


def test_a_queue_that_still_runs_something_is_forgotten_when_that_is_over(
    host: EventService, other: EventService
) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def handle(event: Event) -> None:
        begun.set()
        goes_on.wait(60)

    host.subscribe("a.b", handle, name="mine")
    event = other.publish("a.b", {})
    assert begun.wait(60)
    other.subscriptions.delete("mine")
    assert len(_in_redis(host)) == 1 + len(LANES)
    goes_on.set()
    assert other.wait(event.id).status is EventStatus.DELIVERED
    eventually(lambda: not _in_redis(host) and not _in_process(host))


def test_a_queue_that_a_worker_reads_with_all_others_stays_with_it(services: Services, host: EventService) -> None:
    services.work(host)
    assert _has_handled(host, host, "mine")
    host.unsubscribe("a.b", "mine")
    [ending] = host.bus._at_run_time._ending
    ending.join()
    assert host.broker.presence.reads(own_queue_of("mine"))
    assert _has_handled(host, host, "mine")


def test_a_queue_that_others_may_use_too_is_left_and_not_forgotten(
    services: Services, host: EventService, other: EventService
) -> None:
    """Nobody would look there for what a dead process held, since who sends to it has told of it once; nor is a pause
    that somebody ordered over.
    """
    application = services.make(name=host.settings.name)
    application.on("a.b", name="theirs", queue="shared")(_handle)
    application.bus.prepare()  # its workers are to be started later
    host.subscribe("a.b", _handle, SubscriptionOptions(queue="shared"), name="mine")
    eventually(lambda: host.bus.hosts.is_read("shared", host.broker.clock.real_ms()))
    link, keys = other.broker.link, other.broker.keys
    link.call("SADD", keys.queues_paused, "shared")
    host.unsubscribe("a.b", "mine")
    eventually(lambda: not host.bus.hosts.is_read("shared", host.broker.clock.real_ms()))
    assert [link.call("SISMEMBER", key, "shared") for key in (keys.queues, keys.queues_paused)] == [1, 1]


@pytest.mark.redis62
@pytest.mark.parametrize("reason", ["declared", "unsettled", "read", "waits", "held", "delayed", ""])
def test_a_queue_is_not_forgotten_while_anything_needs_it(services: Services, reason: str) -> None:
    events = services.make()
    link, keys, queue = events.broker.link, events.broker.keys, own_queue_of("mine")
    lanes = [keys.lane(queue, lane) for lane in LANES]
    link.run(script("create_groups"), keys.prefix, *lanes)
    link.call("SADD", keys.queues, queue)
    if reason == "declared":
        events.subscribe("a.b", _handle, name="mine")
    elif reason == "unsettled":
        link.call("HSET", keys.subscriptions_ended, "mine", queue)
    elif reason == "read":
        link.call("ZADD", keys.processes, 1, "living")
        link.call("HSET", keys.process("living"), "queues", f"a,{queue}")
    elif reason == "delayed":
        link.call("HSET", keys.delayed_queues, queue, 1)
    elif reason:
        link.call("XADD", lanes[-1], "1-1", "m", "{}")
        if reason == "held":
            link.call("XREADGROUP", "GROUP", GROUP, "living", "STREAMS", lanes[-1], ">")
            link.call("XDEL", lanes[-1], "1-1")
    link.run(script("leave_queues"), keys.prefix, "me", "", queue, "mine")
    left = {key.decode() for key in link.call("KEYS", f"{keys.prefix}:queue:{OWN_QUEUE}*")}
    assert left == (set(lanes) if reason else set())
    assert link.call("SISMEMBER", keys.queues, queue) == bool(reason)


def test_a_queue_is_known_from_its_declaration_on(services: Services) -> None:
    """Though another process forgot it meanwhile, and this one had told of it before."""
    events = services.make()
    for _ in range(2):
        events.subscribe("a.b", _handle, name="mine")
        assert own_queue_of("mine") in _in_redis(events)
        events.unsubscribe("a.b", "mine")
        eventually(lambda: not _in_redis(events))


def test_forgetting_a_queue_takes_nothing_from_what_was_handled_in_all() -> None:
    in_flight: Any = InFlight()
    in_flight.end_batch("run.mine", 3)
    in_flight.take_up("run.mine", 1)  # the batch counted as one that is held
    in_flight.forget_queue("run.mine")
    assert (in_flight.handled_in_all(), in_flight.handled_count("run.mine")) == (3, 0)
    assert in_flight.held("run.mine") == 0
    assert "run.mine" not in in_flight._held


def test_forgetting_a_queue_leaves_the_count_of_what_is_held() -> None:
    in_flight: Any = InFlight()
    in_flight.take_up("run.mine", 1)
    in_flight.forget_queue("run.mine")
    in_flight.all_handled("run.mine", 1)
    assert in_flight.held("run.mine") == 0
