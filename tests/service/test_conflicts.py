"""A subscription made at run time under a name that is taken: shared where it is the same, refused where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import Event, EventService, SubscriptionConflictError, SubscriptionOptions
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def two(services: Services) -> tuple[EventService, EventService]:
    """Two processes of one bus."""
    one = services.make()
    return one, services.make(name=one.settings.name)


def _handle(event: Event) -> None:
    """Do nothing."""


def _row(events: EventService, name: str) -> Any:
    return events.bus.subscriptions.get(name)


@pytest.mark.redis62
@pytest.mark.parametrize("is_hosted", [True, False])
def test_what_code_declares_is_not_taken_over_at_run_time(
    services: Services, two: tuple[EventService, EventService], is_hosted: bool
) -> None:
    declaring, other = two
    seen: list[str] = []
    declaring.on("a.b", name="mail")(lambda event: seen.append(event.id))
    declaring.bus.prepare()
    before = _row(other, "mail")
    if is_hosted:
        services.work(declaring)
    with pytest.raises(
        SubscriptionConflictError, match="'mail' is the name of a subscription that code declares"
    ) as no:
        other.subscribe("a.b", lambda event: seen.append("stolen"), name="mail")
    assert (no.value.name, no.value.differ) == ("mail", ("queue", "persistent"))
    assert _row(other, "mail") == before
    assert other.bus.declarations.hosted() == []
    if is_hosted:
        event = other.publish("a.b")
        other.wait(event.id)
        assert seen == [event.id]
    assert other.subscribe("a.b", lambda event: None, name="post").name == "post"


def test_of_two_that_differ_the_first_that_lives_stays(two: tuple[EventService, EventService]) -> None:
    first, second = two
    first.subscribe("a.b", _handle, SubscriptionOptions(persistent=True), name="shared")
    with pytest.raises(SubscriptionConflictError, match="with another pattern, timeout_ms;") as no:
        second.subscribe("a.*", _handle, SubscriptionOptions(persistent=True, timeout="1m"), name="shared")
    assert first.broker.presence.name in str(no.value)
    assert _row(second, "shared").pattern == "a.b"


def test_two_that_are_the_same_share_its_deliveries(services: Services, two: tuple[EventService, EventService]) -> None:
    seen: list[str] = []
    for one in two:
        one.subscribe("a.b", lambda event: seen.append(event.id), name="shared")
        one.start()
    services.work(two[0])
    published = [two[0].publish("a.b").id for _ in range(20)]
    for event_id in published:
        two[0].wait(event_id)
    assert sorted(seen) == sorted(published)


def test_a_process_that_comes_back_with_other_options_goes_on_where_it_stopped(
    two: tuple[EventService, EventService],
) -> None:
    first, second = two
    stays = SubscriptionOptions(persistent=True)
    number = first.subscribe("a.b", _handle, stays, name="mine").number
    first.stop()
    assert second.subscribe("a.*", _handle, stays, name="mine").number == number
    assert _row(second, "mine").pattern == "a.*"


@pytest.mark.redis62
def test_whoever_hosts_what_another_process_made_counts_as_living(services: Services) -> None:
    first = services.make()
    second, third = services.make(name=first.settings.name), services.make(name=first.settings.name)
    stays = SubscriptionOptions(persistent=True)
    for one in (first, second):
        one.subscribe("a.b", _handle, stays, name="shared")
    second.start()
    number = str(_row(first, "shared").number).encode()
    process = second.broker.keys.process(second.broker.presence.name)
    eventually(lambda: second.broker.link.call("HGET", process, "subscriptions") == number)
    first.stop()
    with pytest.raises(SubscriptionConflictError, match="pattern"):
        third.subscribe("a.*", _handle, stays, name="shared")


@pytest.mark.usefixtures("rounds_by_hand")  # one ends what only a dead process hosts
def test_a_process_that_counted_as_dead_leaves_the_name_to_who_has_it_now(
    two: tuple[EventService, EventService], caplog: pytest.LogCaptureFixture
) -> None:
    asleep, other = two
    asleep.subscribe("a.b", _handle, name="mine")
    asleep.broker.link.call("ZADD", asleep.broker.keys.processes, 1, asleep.broker.presence.name)
    other.subscribe("a.*", _handle, name="mine")
    asleep.bus.declarations.renew()
    asleep.bus.tending.make_round()
    assert asleep.bus.declarations.hosted() == []
    assert _row(asleep, "mine").pattern == "a.*"
    assert "this process hosts mine no longer: 'mine' is the name of a subscription that the process" in caplog.text


def test_code_changes_what_was_made_at_run_time(two: tuple[EventService, EventService]) -> None:
    first, second = two
    first.subscribe("a.b", _handle, name="mail")
    second.on("a.#", name="mail")(lambda event: None)
    second.bus.prepare()
    assert (_row(first, "mail").pattern, _row(first, "mail").owner) == ("a.#", None)
