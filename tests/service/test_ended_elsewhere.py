"""A run-time subscription that another process ends: nothing of it goes on where it was hosted."""

from __future__ import annotations

import threading

import pytest

from eventsys import Event, EventService, EventStatus, SubscriptionOptions
from eventsys.broker.actor import HandlerActor
from eventsys.broker.consumer import EventConsumer
from eventsys.broker.lease import Lease
from eventsys.broker.worker import Worker
from eventsys.bus.settling import own_queue_of
from eventsys.scheduling.poller import PollerMiddleware
from eventsys.store.keys import LOG_QUEUE
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def host(services: Services) -> EventService:
    """A process that runs what it subscribes at run time."""
    host = services.make()
    # It lives for an hour, and does not say so again after a test said that it is dead.
    host.broker.work.lease = Lease(lease_ms=3_600_000, beat_s=3_600.0)
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


def _handle_many(events: list[Event]) -> None:
    """Do nothing."""


def _has_poller(host: EventService) -> bool:
    [middleware] = [one for one in host.broker.middleware if isinstance(one, PollerMiddleware)]
    return middleware.poller is not None


@pytest.mark.redis62
def test_what_is_deleted_elsewhere_leaves_no_threads_behind(host: EventService, other: EventService) -> None:
    """Eleven threads and a connection for each: a process whose subscriptions come and go would end with thousands."""
    host.subscribe("a.b", _handle, name="mine")
    assert host.broker.has_workers
    other.subscriptions.delete("mine")
    eventually(lambda: not host.broker.has_workers)
    assert host.bus.declarations.hosted() == []


@pytest.mark.usefixtures("rounds_by_hand")  # one ends what only a dead process hosts
def test_what_others_have_subscribed_under_its_name_is_not_read_here(host: EventService, other: EventService) -> None:
    """They share the queue; fetched where it has no handler, a delivery would wait there for one."""
    host.subscribe("a.b", _handle, name="mine")
    # It says so once its reader begins, and with that that it lives.
    eventually(lambda: host.bus.hosts.is_read(own_queue_of("mine"), host.broker.clock.real_ms()))
    host.broker.link.call("ZADD", host.broker.keys.processes, 1, host.broker.presence.name)
    seen: list[str] = []
    other.subscribe("a.*", lambda event: seen.append(event.id), name="mine")
    host.bus.declarations.renew()
    host.bus.tending.make_round()
    eventually(lambda: not host.broker.has_workers)
    other.start()
    published = [other.publish("a.c", {}).id for _ in range(5)]
    assert {other.wait(one).status for one in published} == {EventStatus.DELIVERED}
    assert sorted(seen) == sorted(published)


def test_only_its_own_threads_end(host: EventService, other: EventService) -> None:
    seen: list[str] = []
    host.subscribe("a.b", _handle, name="mine")
    host.subscribe("a.b", lambda event: seen.append(event.id), name="yours")
    other.subscriptions.delete("mine")
    eventually(lambda: len(host.bus.declarations.hosted()) == 1)
    event = other.publish("a.b", {})
    assert other.wait(event.id).status is EventStatus.DELIVERED
    assert seen == [event.id]
    other.subscriptions.delete("yours")
    eventually(lambda: not host.broker.has_workers)


def test_two_that_are_deleted_at_once_leave_nothing_behind(host: EventService, other: EventService) -> None:
    for name in ("mine", "yours"):
        host.subscribe("a.b", _handle, name=name)
    assert _has_poller(host)
    with host.bus.tending._looking:  # it sees both with one look
        for name in ("mine", "yours"):
            other.subscriptions.delete(name)
    eventually(lambda: not host.broker.has_workers)
    assert not _has_poller(host)


def test_a_process_that_works_on_lets_go_what_is_due(host: EventService, other: EventService) -> None:
    """Though a handler of what was deleted runs on while it subscribes again."""
    begun, goes_on = threading.Event(), threading.Event()

    def handle(event: Event) -> None:
        begun.set()
        goes_on.wait(60)

    host.subscribe("a.b", handle, name="mine")
    event = other.publish("a.b", {})
    assert begun.wait(60)
    other.subscriptions.delete("mine")
    eventually(lambda: not _has_poller(host))
    host.subscribe("a.c", _handle, name="yours")
    goes_on.set()
    assert other.wait(event.id).status is EventStatus.DELIVERED
    for ending in host.bus._at_run_time._ending:
        ending.join()
    assert host.broker.has_workers
    assert _has_poller(host)


def test_where_no_thread_can_be_started_what_was_deleted_ends_later(
    host: EventService, other: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, has_room = threading.Thread.start, threading.Event()

    def start_if_any(thread: threading.Thread) -> None:
        if thread.name == "eventsys-unsubscribe" and not has_room.is_set():
            raise RuntimeError("can't start new thread")
        start(thread)

    for name in ("mine", "yours"):
        host.subscribe("a.b", _handle, name=name)
    monkeypatch.setattr(threading.Thread, "start", start_if_any)
    with host.bus.tending._looking:
        for name in ("mine", "yours"):
            other.subscriptions.delete(name)
    eventually(lambda: not host.bus.declarations.hosted())
    assert len(host.bus._at_run_time._workers) == 2
    has_room.set()
    eventually(lambda: not host.broker.has_workers)


def test_what_could_not_be_dropped_is_dropped_by_the_next_look(
    host: EventService, other: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    declarations, failed = host.bus.declarations, threading.Event()
    drop = declarations.drop

    def drop_late(*given: object, **more: object) -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError
        drop(*given, **more)  # type: ignore[arg-type]

    host.subscribe("a.b", _handle, name="mine")
    monkeypatch.setattr(declarations, "drop", drop_late)
    other.subscriptions.delete("mine")
    eventually(lambda: not host.broker.has_workers)


def test_what_is_subscribed_anew_before_its_threads_end_keeps_them(host: EventService, other: EventService) -> None:
    seen: list[str] = []
    host.subscribe("a.b", _handle, name="mine")
    workers = host.bus._at_run_time
    [worker] = workers._workers.values()
    with workers._lock:  # what is to stop them waits
        host.unsubscribe("a.b", "mine")
        host.subscribe("a.b", lambda event: seen.append(event.id), name="mine")
    [ending] = workers._ending
    ending.join()
    assert workers._workers == {own_queue_of("mine"): worker}
    event = other.publish("a.b", {})
    assert other.wait(event.id).status is EventStatus.DELIVERED
    assert seen == [event.id]


def test_what_takes_batches_from_now_on_does_not_keep_threads_that_hand_out_one(
    host: EventService, other: EventService
) -> None:
    host.subscribe("a.b", _handle, name="mine")
    workers = host.bus._at_run_time
    [former] = workers._workers.values()
    with workers._lock:  # what is to stop them waits
        host.unsubscribe("a.b", "mine")
        host.subscribe("a.b", _handle_many, SubscriptionOptions(batch_size=2), name="mine")
    [worker] = workers._workers.values()
    assert isinstance(worker, Worker)
    for ending in workers._ending:
        ending.join()
    assert host.broker._booted._running == {worker}
    assert not former.workers[0].is_alive()
    assert other.wait(other.publish("a.b", {}).id).status is EventStatus.DELIVERED


def test_who_takes_the_place_of_threads_looks_for_what_they_lost(
    host: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When they ended; it had looked before."""
    host.subscribe("a.b", _handle, name="mine")
    workers, queue, done = host.bus._at_run_time, own_queue_of("mine"), list[str]()
    former = workers._workers[queue]
    stop, find_lost = former.stop, EventConsumer.find_lost

    def stop_late() -> None:
        eventually(lambda: workers._workers[queue].consumers[queue].consumer is not None)
        stop()
        done.append("stopped")

    def find_lost_noted(self: EventConsumer) -> None:
        done.append(self.queue)
        find_lost(self)

    monkeypatch.setattr(former, "stop", stop_late)
    monkeypatch.setattr(EventConsumer, "find_lost", find_lost_noted)
    with workers._lock:  # what is to stop them waits
        host.unsubscribe("a.b", "mine")
        host.subscribe("a.b", _handle_many, SubscriptionOptions(batch_size=2), name="mine")
    for ending in workers._ending:
        ending.join()
    assert queue in done[done.index("stopped") :]


def test_what_is_ended_before_its_subscriber_runs_it_is_not_run(
    host: EventService, other: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = host.bus._at_run_time
    add = workers.add

    def add_late(actor: object) -> None:
        other.subscriptions.delete("mine")
        host.bus.tending.look()
        add(actor)  # type: ignore[arg-type]

    monkeypatch.setattr(workers, "add", add_late)
    host.subscribe("a.b", _handle, name="mine")
    assert not host.broker.has_workers
    assert workers.handlers == []


def test_what_is_looked_at_before_it_is_noted_to_be_declared_is_not_dropped(
    host: EventService, other: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for one that others had ended, then declared, and nobody ran it."""
    add = host.bus.declarations.add

    def add_late(actor: HandlerActor) -> None:
        other.subscribe("a.c", _handle, name="yours")  # the set is another one
        host.bus.tending.look()
        add(actor)

    monkeypatch.setattr(host.bus.declarations, "add", add_late)
    host.subscribe("a.b", _handle, name="mine")
    assert "mine" in host.broker.actors
    assert other.wait(other.publish("a.b", {}).id).status is EventStatus.DELIVERED
