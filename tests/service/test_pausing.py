"""Subscriptions that are paused and resumed, while events go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import DeliveryStatus, Event, EventService, EventStatus, NotFoundError, Priority, Retry
from eventsys.model.diagnosis import Severity
from eventsys.model.subscription import SubscriptionState
from eventsys.store.keys import LOG_QUEUE
from tests.runtime.findings import finding
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]


@pytest.mark.redis62
def test_a_paused_subscription_gathers_its_deliveries_and_gives_them_in_order(events: EventService, work: Work) -> None:
    seen: list[int] = []
    events.on("a.b", name="h")(lambda event: seen.append(event.payload["n"]))
    events.on("a.b", name="other")(lambda event: None)
    work(threads=1)
    events.wait(events.publish("a.b", {"n": -1}).id)
    assert events.subscriptions.pause("h").state is SubscriptionState.PAUSED
    given = [events.publish("a.b", {"n": 0})]
    eventually(lambda: events.subscriptions.get("h").waiting == 1)  # by now the dispatcher knows
    given += [events.publish("a.b", {"n": n}) for n in range(1, 50)]
    eventually(lambda: events.subscriptions.get("h").waiting == 50)
    for event in given:
        statuses = {one.subscription: one.status for one in events.get_event(event.id).deliveries}
        assert statuses["h"] is DeliveryStatus.PENDING
        eventually(lambda event=event: events.get_event(event.id).deliveries[1].status is DeliveryStatus.SUCCEEDED)
    standing = events.subscriptions.get("h")
    assert standing.oldest_waiting is not None
    assert standing.backlog == 50
    assert seen == [-1]
    events.subscriptions.resume("h")
    for event in given:
        [delivery, _] = events.wait(event.id).deliveries
        assert delivery.attempts == 1
    assert seen == [-1, *range(50)]
    eventually(lambda: events.subscriptions.get("h").state is SubscriptionState.ACTIVE)


def test_what_was_fetched_and_not_begun_waits_too(events: EventService, work: Work) -> None:
    """One handler runs when the pause comes; its neighbours, fetched with it, do not begin."""
    begun, goes_on = threading.Event(), threading.Event()
    seen: list[int] = []

    @events.on("a.b", name="slow", queue="slow")
    def slow(event: Event) -> None:
        seen.append(event.payload["n"])
        begun.set()
        goes_on.wait(60)

    given = [events.publish("a.b", {"n": n}) for n in range(20)]
    work(threads=1, queues={"slow", LOG_QUEUE})
    work(threads=1, queues={LOG_QUEUE})
    assert begun.wait(60)
    events.subscriptions.pause("slow")
    goes_on.set()
    eventually(lambda: events.subscriptions.get("slow").waiting == 19)
    assert len(seen) == 1
    events.subscriptions.resume("slow")
    for event in given:
        assert events.wait(event.id).deliveries[0].attempts == 1
    assert sorted(seen) == list(range(20))


def test_another_process_learns_of_a_pause_and_of_its_end_by_its_own_look(services: Services) -> None:
    """Neither process dispatches. It looks each second; an idle process makes a round each half minute."""
    events, seen = services.make(), list[str]()
    twin = services.make(name=events.settings.name)
    for one in (events, twin):
        one.on("a.b", name="h", queue="own")(lambda event: seen.append(event.id))
    services.work(twin, queues={"own"})
    events.bus.prepare()
    events.subscriptions.pause("h")
    eventually(lambda: "h" in twin.broker.work.gates.closed, timeout_s=20)
    events.subscriptions.resume("h")
    eventually(lambda: "h" not in twin.broker.work.gates.closed, timeout_s=20)


@pytest.mark.redis62
def test_a_retry_that_falls_due_during_a_pause_waits_and_uses_no_attempt(events: EventService, work: Work) -> None:
    attempts: list[int] = []
    clock = events.broker.clock

    @events.on("a.b", name="h", retry_delay="1h")
    def handler(event: Event) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise Retry("later")

    work()
    event = events.publish("a.b", {})
    eventually(lambda: events.delayed.get_waiting_retries().total == 1)
    events.subscriptions.pause("h")
    clock.turn_to(clock.now_ms() + 3_600_000)
    eventually(lambda: events.subscriptions.get("h").waiting == 1)
    assert attempts == [1]
    events.subscriptions.resume("h")
    [delivery] = events.wait(event.id).deliveries
    assert [one.status for one in delivery.history] == ["failed", "succeeded"]


def test_a_deploy_keeps_the_pause_of_an_operator(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="h")(lambda event: None)
    old.subscriptions.pause("h")
    new = services.make(name=old.settings.name)
    new.on("a.#", name="h", max_retries=9)(lambda event: None)
    services.work(new)
    assert new.subscriptions.get("h").state is SubscriptionState.PAUSED
    assert new.subscriptions.get("h").subscription.max_retries == 9
    event = new.publish("a.b", {})
    eventually(lambda: new.subscriptions.get("h").waiting == 1)
    new.subscriptions.resume("h")
    assert new.wait(event.id).status is EventStatus.DELIVERED


def test_what_is_urgent_leaves_the_waiting_room_first_and_starves_nothing(
    events: EventService, quick_work: Work
) -> None:
    seen: list[int] = []
    events.on("a.b", name="h")(lambda event: seen.append(int(event.priority)))
    events.subscriptions.pause("h")
    for priority in (Priority.LOW, Priority.CRITICAL):
        given = [events.publish("a.b", {}, priority=priority) for _ in range(30)]
    worker = quick_work(threads=1, queues={LOG_QUEUE})
    eventually(lambda: events.subscriptions.get("h").waiting == 60)
    link, keys = events.broker.link, events.broker.keys
    link.call("HDEL", keys.subscription_states, "h")
    link.run(_script("release_waiting"), keys.prefix, events.broker.clock.now_ms(), "h")
    order = [
        lane
        for _, lane in sorted(
            (tuple(int(part) for part in entry.split(b"-")), lane)
            for lane in (10, 1)
            for entry, _ in link.call("XRANGE", keys.lane("tests", lane), "-", "+")
        )
    ]
    assert len(order) == 60
    assert 1 in order[:20]
    assert order[:20].count(10) >= 12
    assert given
    assert worker


@pytest.mark.parametrize("verb", ["get", "pause", "resume", "delete"])
def test_a_subscription_that_does_not_exist_is_named_in_the_error(events: EventService, verb: str) -> None:
    with pytest.raises(NotFoundError, match="'nobody'"):
        getattr(events.subscriptions, verb)("nobody")


def test_pausing_twice_is_pausing_once(events: EventService) -> None:
    events.on("a.b", name="h")(lambda event: None)
    before = events.subscriptions.pause("h"), events.bus.subscriptions.version()
    assert (events.subscriptions.pause("h"), events.bus.subscriptions.version()) == before
    assert events.subscriptions.resume("h").state is SubscriptionState.UNHOSTED
    assert events.subscriptions.resume("h").state is SubscriptionState.UNHOSTED


@pytest.mark.redis62
def test_a_listing_names_state_and_hosts(services: Services) -> None:
    events = services.make()
    events.on("a.b", name="here")(lambda event: None)
    events.bus.prepare()
    elsewhere = services.make(name=events.settings.name)
    elsewhere.on("a.c", name="nowhere")(lambda event: None)
    elsewhere.bus.prepare()
    services.work(events)
    here, nowhere = eventually(lambda: (found := events.subscriptions.list())[0].hosts and found)
    assert (here.name, here.state, len(here.hosts)) == ("here", SubscriptionState.ACTIVE, 1)
    assert (nowhere.name, nowhere.state, nowhere.hosts) == ("nowhere", SubscriptionState.UNHOSTED, ())


def test_delete_ends_a_persistent_subscription_and_cancels_what_waits(events: EventService, quick_work: Work) -> None:
    events.on("a.b", name="h")(lambda event: None)
    events.subscriptions.pause("h")
    quick_work()
    event = events.publish("a.b", {})
    eventually(lambda: events.subscriptions.get("h").waiting == 1)
    events.subscriptions.delete("h")
    assert events.wait(event.id).status is EventStatus.CANCELLED
    assert events.subscriptions.list() == []
    link, prefix = events.broker.link, events.broker.keys.prefix
    left = {key.decode().removeprefix(prefix + ":").partition(":")[0] for key in link.call("KEYS", f"{prefix}:*")}
    assert "event" in left
    assert not left & {"gate", "slots", "waiting"}


def test_an_inline_handler_waits_while_its_subscription_is_paused(events: EventService, quick_work: Work) -> None:
    seen: list[str] = []
    events.on("a.b", name="h", async_=False)(lambda event: seen.append(event.id))
    first = events.publish("a.b", {})
    events.subscriptions.pause("h")
    second = events.publish("a.b", {})
    assert seen == [first.id]
    events.subscriptions.resume("h")
    quick_work()
    assert events.wait(second.id).status is EventStatus.DELIVERED
    assert seen == [first.id, second.id]


def _script(name: str) -> Any:
    from eventsys.store.scripts import script

    return script(name)


def test_what_is_resumed_and_has_no_handler_anywhere_is_unhosted_and_a_problem(services: Services) -> None:
    """A worker of the application runs and reads the queue, but its code has the handler no longer."""
    before = services.make(app="shop")
    now = services.make(app="shop", name=before.settings.name)
    before.on("a.b", name="h")(lambda event: None)
    before.bus.prepare()
    now.on("c.d", name="other")(lambda event: None)
    services.work(now)
    eventually(lambda: now.subscriptions.get("other").hosts)
    event = now.publish("a.b", {})
    eventually(lambda: now.subscriptions.get("h").waiting == 1)
    now.subscriptions.pause("h")
    assert now.subscriptions.resume("h").state is SubscriptionState.UNHOSTED
    found = finding(now, "subscriptions")
    assert (found.severity, found.said) == (
        Severity.PROBLEM, "no living worker has the handler of h and reads shop; 1 delivery waits for one"
    )  # fmt: skip
    services.work(before)
    assert now.wait(event.id, "25s").status is EventStatus.DELIVERED
    eventually(lambda: now.subscriptions.get("h").state is SubscriptionState.ACTIVE)
