"""A restored, emptied or failed-over Redis: what living processes host is declared again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventService, EventStatus, SubscriptionState
from eventsys.bus import router
from eventsys.store.scripts import script
from tests.support.restoring import backup_of, empty
from tests.support.services import Services

ByHand = Callable[..., EventService]


@pytest.fixture(autouse=True)
def others_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let who dispatches go on at once: there are no others, or they look when a test says so."""
    monkeypatch.setattr(router, "OTHERS_S", 0.0)


@pytest.fixture
def by_hand(services: Services) -> ByHand:
    """Make services without threads: each looks when a test says so."""

    def make(**settings: Any) -> EventService:
        service = services.make(**settings)
        service.broker.work.by_hand = True
        return service

    return make


def _handle(event: Event) -> None:
    """Handle."""


def _known(events: EventService) -> set[str]:
    return {one.name for one in events.bus.subscriptions.all()[1]}


def _delivered(events: EventService, event_type: str = "a.b") -> set[str]:
    record = events.wait(events.publish(event_type, {}).id)
    assert record.status is EventStatus.DELIVERED
    return {one.subscription for one in record.deliveries}


def test_a_handler_deployed_after_the_backup_gets_its_events_again(services: Services) -> None:
    """It was taken for unsubscribed, and thrown away for as long as its process lived."""
    events = services.make()
    events.on("a.b", name="old")(_handle)
    services.work(events)
    restore = backup_of(events)
    events.on("a.b", name="new")(_handle)
    events.bus.prepare()
    events.bus.tending.look()
    restore()
    events.bus.tending.look()
    assert _delivered(events) == {"old", "new"}
    events.bus.tending.make_round()
    assert events.subscriptions.get("new").state is SubscriptionState.ACTIVE


@pytest.mark.parametrize("is_emptied", [True, False])
def test_whoever_dispatches_first_after_a_loss_passes_no_handler_of_its_own_by(
    services: Services, is_emptied: bool
) -> None:
    """Nobody has looked by then: events of the first second were delivered to nobody."""
    events = services.make()
    services.work(events)
    restore = backup_of(events)
    events.on("a.b", name="h")(_handle)
    assert _delivered(events) == {"h"}
    if is_emptied:
        empty(events)
    else:
        restore()
    assert _delivered(events) == {"h"}


def test_all_that_a_process_hosts_is_there_again_in_an_emptied_redis(services: Services) -> None:
    events = services.make()
    events.on("a.b", name="lasting")(_handle)
    events.on("a.b", name="mortal", persistent=False)(_handle)
    events.cron("@hourly", name="task")(lambda: None)
    services.work(events)
    events.subscribe("a.b", _handle, name="at-run-time")
    events.start()
    known = _known(events)
    empty(events)
    events.bus.tending.look()
    assert _known(events) == known >= {"lasting", "mortal", "at-run-time", "task"}
    events.broker.work.after_scan()
    assert [task.name for task in events.cron.list().items] == ["task"]
    assert events.broker.link.call("EXISTS", events.broker.keys.format) == 1
    other = services.make(name=events.settings.name)
    other.bus.tending.make_round()  # whoever sees a subscription without a living host ends it
    assert _known(events) == known
    assert _delivered(events) == {"lasting", "mortal", "at-run-time"}
    assert {one.state for one in events.subscriptions.list()} == {SubscriptionState.ACTIVE}


def test_a_declaration_that_is_older_in_the_backup_is_made_anew(services: Services) -> None:
    before, events = services.make(), None
    before.on("a.b", name="h")(_handle)
    before.bus.prepare()
    restore = backup_of(before)
    events = services.make(name=before.settings.name)
    events.on("a.*", name="h")(_handle)
    services.work(events)
    events.bus.tending.look()
    restore()
    events.bus.tending.look()
    assert _delivered(events, "a.c") == {"h"}


def test_what_was_declared_in_the_second_that_was_lost_is_declared_again(by_hand: ByHand) -> None:
    """No process had seen the version that it made: the set was what it was before, as far as anyone knew."""
    events = by_hand()
    events.on("a.b", name="changed")(_handle)
    events.bus.prepare()
    events.bus.tending.look()
    restore = backup_of(events)
    events.broker.actors.pop("changed")
    events.on("a.*", name="changed")(_handle)
    events.on("a.*", name="new")(_handle)
    events.bus.prepare()
    restore()
    events.bus.tending.look()
    assert {one.name: one.pattern for one in events.bus.subscriptions.all()[1]} == {"changed": "a.*", "new": "a.*"}


def test_a_loss_in_the_middle_of_a_look_is_seen_by_it(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    events = by_hand()
    events.on("a.b", name="h")(_handle)
    events.bus.prepare()
    version_and_news = events.bus.subscriptions.version_and_news()
    empty(events)
    monkeypatch.setattr(events.bus.subscriptions, "version_and_news", lambda: version_and_news)
    events.bus.tending.look()
    assert _known(events) == {"h"}


def _version_before_and_new(by_hand: ByHand) -> tuple[EventService, EventService]:
    """Return a process of the version before, whose declaration of `h` has given way, and one of the new version."""
    former = by_hand()
    former.on("a.b", name="h")(_handle)
    former.bus.prepare()
    new = by_hand(name=former.settings.name)
    new.on("a.*", name="h")(_handle)
    new.bus.prepare()
    for one in (former, new):
        one.bus.tending.look()
    return former, new


def test_a_declaration_that_had_given_way_takes_nothing_back(by_hand: ByHand) -> None:
    """In a deploy a worker of the version before may still have work to end when the backup is restored."""
    former, new = _version_before_and_new(by_hand)
    empty(former)
    for one in (new, former, new):
        one.bus.tending.look()
    assert new.bus.subscriptions.get("h").pattern == "a.*"
    empty(former)
    former.bus.tending.look()
    assert former.bus.subscriptions.get("h").pattern == "a.b", "nobody else had declared it by then"
    new.bus.tending.look()
    assert new.bus.subscriptions.get("h").pattern == "a.*"


def test_a_declaration_that_had_given_way_takes_nothing_back_where_all_look_at_once(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read that the newer one is lost, and by the time that the older one was declared it was there again."""
    former, new = _version_before_and_new(by_hand)
    empty(former)
    declare_again = former.bus.declarations.declare_again

    def meanwhile(*arguments: Any) -> None:
        new.bus.tending.look()
        declare_again(*arguments)

    monkeypatch.setattr(former.bus.declarations, "declare_again", meanwhile)
    former.bus.tending.look()
    assert new.bus.subscriptions.get("h").pattern == "a.*"


def test_a_declaration_that_had_given_way_takes_nothing_back_where_its_process_has_declared_another_since(
    by_hand: ByHand,
) -> None:
    """As with one that was reloaded: what it knew of the set was thrown away with what was declared since."""
    former, new = _version_before_and_new(by_hand)
    restore = backup_of(former)
    for name in ("more", "most"):
        former.on("a.b", name=name)(_handle)
    former.bus.prepare()
    restore()
    former.bus.tending.look()
    holding = {one.name: one.pattern for one in new.bus.subscriptions.all()[1]}
    assert holding == {"h": "a.*", "more": "a.b", "most": "a.b"}
    former.broker.actors.pop("h")
    former.on("b.*", name="h")(_handle)
    former.bus.prepare()
    assert new.bus.subscriptions.get("h").pattern == "b.*", "one that is new takes its place, as ever"


def test_who_looks_when_others_have_changed_as_much_as_was_lost_sees_that_it_was(services: Services) -> None:
    """The version counts changes: after as many new ones as were lost it was the same, and nothing was to be seen."""
    events = services.make()
    events.bus.prepare()
    other = services.make(name=events.settings.name)
    restore = backup_of(events)
    for one, name in ((events, "own"), (other, "others")):
        one.on("a.b", name=name)(_handle)
        services.work(one)
    for one in (events, other):
        one.bus.tending.look()
    restore()
    other.bus.tending.look()
    other.on("a.b", name="newest")(_handle)
    other.bus.prepare()
    events.bus.tending.look()
    assert _known(events) == {"own", "others", "newest"}


def test_a_second_loss_is_seen_though_the_first_was_not_seen_by_all(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both began the same era, the one on what the other had known: as many changes later nothing was to be seen."""
    events = by_hand()
    events.bus.prepare()
    other = by_hand(name=events.settings.name)
    restore = backup_of(events)
    for one, name in ((events, "own"), (other, "others")):
        one.on("a.b", name=name)(_handle)
        one.bus.prepare()
    for one in (events, other):
        one.bus.tending.look()
    restore()
    events.bus.tending.look()
    restore()
    real_ms = other.broker.clock.real_ms
    monkeypatch.setattr(other.broker.clock, "real_ms", lambda: real_ms() + 1_000)
    other.bus.tending.look()
    other.on("a.b", name="newest")(_handle)
    other.bus.prepare()
    events.bus.tending.look()
    assert _known(events) == {"own", "others", "newest"}
    version = events.bus.subscriptions.version()
    for one in (events, other, events):
        one.bus.tending.look()
    assert events.bus.subscriptions.version() == version, "all have seen it, and nothing is begun again"


def test_what_is_unsubscribed_after_a_loss_was_seen_stays_so(services: Services) -> None:
    events = services.make()
    events.on("a.b", name="h")(_handle)
    services.work(events)
    other = services.make(name=events.settings.name)
    empty(events)
    events.bus.tending.look()
    assert _known(events) == {"h"}
    other.subscriptions.delete("h")
    events.bus.tending.look()
    assert _known(events) == set()
    assert "h" not in events.broker.actors


def test_what_a_process_unsubscribes_while_it_declares_again_stays_so(services: Services) -> None:
    events = services.make()
    for name in ("stays", "goes"):
        events.on("a.b", name=name)(_handle)
    services.work(events)
    declared = events.bus.declarations.hosted()
    events.unsubscribe("a.b", "goes")
    events.bus.declarations.declare_again(declared)
    events.bus.prepare()
    assert _known(events) == {"stays"}


def _introduce(events: EventService, host: str, number: int = 0) -> int:
    """Let a process of a host say that it is alive, and return its number; `number` is what it had until then."""
    arguments = (f"{host}-1", host, 1, number, 1_000, 13_000, 12_000, 0, "default", "default")
    return int(events.broker.link.run(script("introduce"), events.broker.keys.prefix, *arguments))


def test_no_two_processes_have_a_number_after_a_loss(events: EventService) -> None:
    """Records name workers by it: those of two hosts were told of one."""
    assert [_introduce(events, host) for host in ("a", "b", "c")] == [1, 2, 3]
    empty(events)
    assert _introduce(events, "new") == 1  # before the living have said so again
    assert _introduce(events, "c", 3) == 3
    assert _introduce(events, "a", 1) == 2
    assert _introduce(events, "newest") == 4
    assert _introduce(events, "b", 2) == 5
    assert [_introduce(events, host) for host in ("new", "newest")] == [1, 4]


def test_what_is_paused_stays_closed_while_a_loss_is_made_up_for(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pause was forgotten before it could be read again, and whoever read a queue then asked nobody."""
    events = by_hand()
    events.on("a.b", name="h", rate="1/h", breaker=1)(_handle)
    events.bus.prepare()
    events.subscriptions.pause("h")
    restore = backup_of(events)
    events.on("a.b", name="new")(_handle)
    events.bus.prepare()
    events.bus.tending.look()
    restore()
    gates, complete = events.broker.work.gates, events.bus.declarations.complete
    during = []

    def noting() -> None:
        during.append((gates.watched, gates.closed, gates.kept))
        complete()

    monkeypatch.setattr(events.bus.declarations, "complete", noting)
    events.bus.tending.look()
    assert during == [({"h"}, {"h"}, {"h"})]
    assert gates.closed == {"h"}
    events.subscriptions.resume("h")
    events.bus.tending.look()
    assert gates.closed == frozenset(), "what is said of the new version is taken"


def test_a_queue_is_told_of_again(services: Services) -> None:
    events = services.make()
    events.on("a.b", name="h", queue="far")(_handle)
    events.broker.work.queue_names.tell(["unread"])
    services.work(events)
    empty(events)
    events.bus.tending.look()
    events.broker.work.queue_names.tell(["unread"])
    assert {b"far", b"unread"} <= set(events.broker.link.call("SMEMBERS", events.broker.keys.queues))
