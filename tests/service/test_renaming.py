"""Subscriptions that get another name, with all they have open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import DeadLetterFilter, Event, EventService, EventStatus, SubscriptionError, SubscriptionState
from eventsys.store.keys import LOG_QUEUE
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]


def _fail(event: Event) -> None:
    raise ValueError("no")


@pytest.mark.redis62
def test_a_new_name_takes_over_queue_retries_waiting_room_and_dead_letters(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="old", max_retries=0)(_fail)
    old.on("c.d", name="old-retrying", retry_delay="1h")(_fail)
    worker = services.work(old)
    dead = old.publish("a.b", {})
    assert old.wait(dead.id).status is EventStatus.FAILED
    retried = old.publish("c.d", {})
    eventually(lambda: (found := old.get_event(retried.id).deliveries) and found[0].attempts == 1)
    worker.stop()
    services._workers.clear()
    dispatching = services.work(old, queues={LOG_QUEUE})
    queued = old.publish("a.b", {})
    link, keys = old.broker.link, old.broker.keys
    eventually(lambda: link.call("XLEN", keys.lane("tests", 5)) == 1)
    old.subscriptions.pause("old")
    waiting = old.publish("a.b", {})
    eventually(lambda: old.subscriptions.get("old").waiting == 1)
    dispatching.stop()
    services._workers.clear()

    seen: list[str] = []
    new = services.make(name=old.settings.name)
    new.on("a.b", name="new", was="old")(lambda event: seen.append(event.id))
    new.on("c.d", name="new-retrying", was=("older", "old-retrying"))(lambda event: seen.append(event.id))
    new.bus.prepare()
    standing = new.subscriptions.get("new")
    assert (standing.state, standing.waiting, standing.dead_letters) == (SubscriptionState.PAUSED, 1, 1)
    assert [one.name for one in new.subscriptions.list()] == ["new", "new-retrying"]
    [letter] = new.dead_letters.list(DeadLetterFilter(subscription="new")).items
    assert letter.subscription == "new"
    services.work(new)
    new.subscriptions.resume("new")
    new.dead_letters.redrive(letter.id)
    clock = new.broker.clock
    clock.turn_to(clock.now_ms() + 3_600_000)
    for event in (dead, queued, waiting, retried):
        record = new.wait(event.id)
        assert record.status is EventStatus.DELIVERED
        assert [one.subscription.partition("-")[0] for one in record.deliveries] == ["new"]
    assert sorted(seen) == sorted([dead.id, queued.id, waiting.id, retried.id])
    assert new.dead_letters.list().total == 0
    assert link.call("ZCARD", keys.letters_of("new")) == 0


@pytest.mark.redis62
def test_a_rename_under_load_loses_and_doubles_nothing(services: Services) -> None:
    """The old version goes on running beside the new one: what it comes to is left to the new one."""
    lock, seen = threading.Lock(), list[str]()

    def handler(event: Event) -> None:
        with lock:
            seen.append(event.id)

    old = services.make()
    old.on("a.b", name="old")(handler)
    services.work(old)
    published = old.publish_many([("a.b", {})] * 300)
    new = services.make(name=old.settings.name)
    new.on("a.b", name="new", was="old")(handler)
    services.work(new)
    published += new.publish_many([("a.b", {})] * 300)
    for event in published:
        record = new.wait(event.id)
        assert record.status is EventStatus.DELIVERED
        assert [one.subscription for one in record.deliveries] == ["new"]
    assert sorted(seen) == sorted(event.id for event in published)
    assert [one.name for one in new.subscriptions.list()] == ["new"]


def test_a_dead_letter_of_the_new_name_is_found_by_it(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="old")(_fail)
    dispatching = services.work(old, queues={LOG_QUEUE})
    event = old.publish("a.b", {})
    eventually(lambda: old.get_event(event.id).deliveries)
    dispatching.stop()
    services._workers.clear()
    new = services.make(name=old.settings.name)
    new.on("a.b", name="new", was="old", max_retries=0)(_fail)
    services.work(new)
    assert new.wait(event.id).status is EventStatus.FAILED
    assert [one.id for one in new.dead_letters.list(DeadLetterFilter(subscription="new")).items] == [f"{event.id}:new"]


def test_names_are_renamed_twice_and_back(services: Services) -> None:
    first = services.make()
    numbers = []
    for name, was in (("a", ()), ("b", ("a",)), ("c", ("a", "b")), ("a", ("c",))):
        one = services.make(name=first.settings.name)
        one.on("x.y", name=name, was=was)(lambda event: None)
        one.bus.prepare()
        numbers.append(one.subscriptions.get(name).subscription.number)
        assert [known.name for known in one.subscriptions.list()] == [name]
    assert numbers == [1, 1, 1, 1]


@pytest.mark.usefixtures("rounds_by_hand")
def test_what_lives_as_long_as_its_hosts_is_renamed_with_them(services: Services) -> None:
    old = services.make()
    _host(old, "old")
    first, second = (services.make(name=old.settings.name) for _ in range(2))
    for one in (first, second):
        _host(one, "new", was="old")
    hosts = {one.broker.presence.name.encode() for one in (old, first, second)}
    keys, observer = old.broker.keys, services.make(name=old.settings.name)
    assert set(observer.broker.link.call("SMEMBERS", keys.hosts("new"))) == hosts
    for one in (second, first, old):
        observer.bus.tending.make_round()
        assert [known.name for known in observer.subscriptions.list()] == ["new"]
        one.stop()
    observer.bus.tending.make_round()
    assert observer.subscriptions.list() == []


def _host(events: EventService, name: str, *, was: str | tuple[str, ...] = ()) -> None:
    """Declare a handler that is not persistent, as a worker that begins does."""
    events.on("a.b", name=name, was=was, persistent=False)(lambda event: None)
    events.bus.declarations.host_all()
    events.bus.prepare()


@pytest.mark.usefixtures("rounds_by_hand")
def test_hosts_that_cannot_be_read_end_nothing_and_hinder_no_round(services: Services) -> None:
    events = services.make()
    for name in ("odd", "lost"):
        _host(events, name)
    observer = services.make(name=events.settings.name)
    link, keys = observer.broker.link, observer.broker.keys
    link.call("DEL", keys.hosts("odd"), keys.hosts("lost"))
    link.call("ZADD", keys.hosts("odd"), 1, events.broker.presence.name)
    observer.bus.tending.make_round()
    assert [known.name for known in observer.subscriptions.list()] == ["odd"]
    link.call("DEL", keys.hosts("odd"))


def test_where_both_names_exist_nothing_is_taken_over(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="old")(lambda event: None)
    old.on("a.b", name="new")(lambda event: None)
    old.bus.prepare()
    new = services.make(name=old.settings.name)
    new.on("a.b", name="new", was="old")(lambda event: None)
    new.bus.prepare()
    assert [one.name for one in new.subscriptions.list()] == ["new", "old"]


def test_a_former_name_that_another_handler_has_is_refused(events: EventService) -> None:
    events.on("a.b", name="one")(lambda event: None)
    with pytest.raises(SubscriptionError, match="'two' was 'one'"):
        events.on("a.b", name="two", was="one")(lambda event: None)


def test_a_number_is_not_given_twice_after_names_were_forgotten(events: EventService) -> None:
    for name in ("a", "b", "c"):
        events.on("x.y", name=name)(lambda event: None)
    events.bus.prepare()
    link, keys = events.broker.link, events.broker.keys
    link.call("HDEL", keys.subscription_names, 1)
    events.on("x.y", name="d")(lambda event: None)
    events.bus.prepare()
    assert events.subscriptions.get("d").subscription.number == 4
    assert events.bus.subscriptions.names()[3] == "c"


@pytest.mark.redis62
def test_what_waits_for_its_next_attempt_is_found_by_either_name(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="old", retry_delay="1h")(_fail)
    worker = services.work(old)
    first, second = (old.publish("a.b", {}) for _ in range(2))
    eventually(lambda: old.delayed.get_waiting_retries().total == 2)
    worker.stop()
    services._workers.clear()

    new = services.make(name=old.settings.name)
    new.on("a.b", name="new", was="old")(_fail)
    new.bus.prepare()
    for name in ("old", "new", None):
        assert [one.subscription for one in new.delayed.get_waiting_retries(name).items] == ["new", "new"]
    for event, name in ((first, "new"), (second, "old")):
        assert new.delayed.cancel_delivery(event.id, name).subscription == "new"
        assert new.get_event(event.id).status is EventStatus.CANCELLED
    assert new.delayed.get_waiting_retries().total == 0
