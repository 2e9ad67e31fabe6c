"""A subscription that was as mortal as its hosts and is persistent now ends with none of them."""

from __future__ import annotations

import pytest

from eventsys import Event, EventService
from tests.support.services import Services

# A round between two lines would drop handlers whose subscription is gone.
pytestmark = pytest.mark.usefixtures("rounds_by_hand")


def _handle(event: Event) -> None:
    """Do nothing."""


def _stays(events: EventService, *, from_now_on: bool) -> bool:
    """Say whether `mail` is there, and this process its host still, after a round of it."""
    events.bus.tending.make_round()
    known = events.bus.subscriptions.get("mail")
    return known is not None and known.persistent is from_now_on and len(events.bus.declarations.hosted()) == 1


@pytest.fixture
def old(services: Services) -> EventService:
    """A worker of the old code, whose subscription lives as long as its hosts."""
    old = services.make()
    old.on("a.b", name="mail", persistent=False)(_handle)
    old.bus.declarations.host_all()
    old.bus.prepare()
    return old


def _begin(services: Services, like: EventService) -> EventService:
    """Return a worker of the new code, which has made the subscription persistent."""
    new = services.make(name=like.settings.name)
    new.on("a.b", name="mail")(_handle)
    new.bus.prepare()
    return new


@pytest.mark.redis62
def test_the_last_worker_that_knew_it_as_mortal_ends_nothing_when_it_stops(
    services: Services, old: EventService
) -> None:
    new = _begin(services, old)
    event = new.publish("a.b", {})
    old.stop()
    assert _stays(new, from_now_on=True)
    assert new.get_event(event.id).status.value == "pending"


def test_a_round_that_knew_it_as_mortal_ends_nothing_when_no_host_is_left(
    services: Services, old: EventService
) -> None:
    observer = services.make(name=old.settings.name)
    observer.bus.tending.look()
    new = _begin(services, old)
    old.broker.link.call("DEL", old.broker.keys.hosts("mail"))
    observer.bus.tending._end_unhosted()
    assert _stays(new, from_now_on=True)


def test_what_code_made_persistent_outlives_the_process_that_subscribed_it_at_run_time(services: Services) -> None:
    process = services.make()
    process.subscribe("a.b", _handle, name="mail")
    new = _begin(services, process)
    process.stop()
    assert _stays(new, from_now_on=True)


def test_it_ends_with_its_last_host_where_the_later_code_says_so(services: Services) -> None:
    first = services.make()
    new = _begin(services, first)
    mortal = services.make(name=first.settings.name)
    mortal.on("a.b", name="mail", persistent=False)(_handle)
    mortal.bus.declarations.host_all()
    mortal.bus.prepare()
    assert _stays(new, from_now_on=False)
    mortal.stop()
    assert new.bus.subscriptions.get("mail") is None
