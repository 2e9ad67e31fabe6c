"""Dead letters of subscriptions that were renamed: whose they are, whatever their names came to be."""

from __future__ import annotations

import pytest

from eventsys import DeadLetterFilter, Event, EventService, EventStatus
from eventsys.clock import to_ms
from eventsys.model.dead_letter import DeadLetter
from eventsys.scheduling.poller import Poller
from tests.support.services import Services
from tests.support.waiting import eventually


def _fail(event: Event) -> None:
    raise ValueError("no")


def _renamed(before: EventService, services: Services, name: str, was: str) -> EventService:
    service = services.make(name=before.settings.name)
    service.on("a.b", name=name, was=was)(lambda event: None)
    service.bus.prepare()
    return service


def _letters(events: EventService, subscription: str) -> list[DeadLetter]:
    return events.dead_letters.list(DeadLetterFilter(subscription=subscription)).items


@pytest.mark.redis62
def test_what_dies_under_a_former_name_is_a_letter_of_the_present_one(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="old", retry_delay="1h")(_fail)
    worker = services.work(old)
    event = old.publish("a.b", {})
    eventually(lambda: (found := old.get_event(event.id).deliveries) and found[0].attempts == 1)
    worker.stop()
    services._workers.clear()
    new = _renamed(old, services, "new", was="old")
    link, keys, lane = new.broker.link, new.broker.keys, new.broker.keys.lane("tests", 5)
    link.call("DEL", lane)
    link.call("SET", lane, "no stream, so nothing can be added")
    poller = Poller(link, keys, new.broker.clock, process="by-hand", max_retries=0)
    poller.let_go(to_ms(new.broker.clock.now()) + 3_600_001)
    poller.stop()
    [letter] = _letters(new, "new")
    assert (letter.reason, letter.subscription) == ("unfired", "new")
    newer = _renamed(new, services, "newer", was="new")
    assert [one.id for one in _letters(newer, "newer")] == [letter.id]
    assert newer.dead_letters.purge(letter.id) == 1
    assert link.call("KEYS", f"{keys.prefix}:letters:*") == []
    assert newer.get_event(event.id).status is EventStatus.FAILED


@pytest.mark.redis62
def test_a_letter_stays_with_its_subscription_when_the_former_name_is_declared_anew(services: Services) -> None:
    old = services.make()
    old.on("a.b", name="old", max_retries=0)(_fail)
    worker = services.work(old)
    event = old.publish("a.b", {})
    assert old.wait(event.id).status is EventStatus.FAILED
    worker.stop()
    services._workers.clear()
    new = _renamed(old, services, "new", was="old")
    old.broker.work.close()  # a process that hosts it still has the former name left undeclared
    again = services.make(name=old.settings.name)
    again.on("a.b", name="old")(_fail)
    again.bus.prepare()
    assert [one.name for one in new.subscriptions.list()] == ["new", "old"]
    [letter] = _letters(new, "new")
    assert letter.subscription == new.dead_letters.show(letter.id).subscription == "new"
    services.work(new)
    new.dead_letters.redrive(letter.id)
    record = new.wait(event.id)
    assert (record.status, [one.subscription for one in record.deliveries]) == (EventStatus.DELIVERED, ["new"])
    assert new.broker.link.call("KEYS", f"{new.broker.keys.prefix}:letters:*") == []
