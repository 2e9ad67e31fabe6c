"""Processes with older code that start when newer code has given a subscription another name."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import EventService, EventStatus
from eventsys.broker.presence import Lease
from tests.runtime.findings import finding
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("rounds_by_hand")

RENAMED, DOUBLED = "subscription_renamed", "subscription_doubled"


def _code(services: Services, like: EventService | None, name: str, got: list[str], **options: Any) -> EventService:
    """Return a process whose code has one handler."""
    service = services.make() if like is None else services.make(name=like.settings.name)
    service.on("a.b", name=name, **options)(lambda event: got.append(event.id))
    return service


def _is_hosted(events: EventService, name: str) -> bool:
    events.bus.tending.make_round()
    return bool(events.subscriptions.get(name).hosts)


def _names(events: EventService) -> list[str]:
    return [one.name for one in events.subscriptions.list()]


def _told(caplog: pytest.LogCaptureFixture, action: str) -> list[str]:
    return [one.getMessage() for one in caplog.records if getattr(one, "action", "") == action]


@pytest.fixture
def got() -> list[str]:
    """What the handler of the new code got."""
    return []


@pytest.fixture
def new(services: Services, got: list[str]) -> EventService:
    """A worker whose code has renamed `old`, which had been there."""
    before = _code(services, None, "old", [])
    before.bus.prepare()
    new = _code(services, before, "new", got, was="old")
    new.broker.work.lease = Lease(lease_ms=600_000)
    services.work(new)
    eventually(lambda: _is_hosted(new, "new"))
    # A round that came before its worker was seen has noted that nobody hosts it; the next one is a minute away.
    new.bus.hosts.note_unhosted(new.broker.clock.now_ms(), ["new"], [])
    return new


@pytest.mark.redis62
@pytest.mark.parametrize("options", [{}, {"persistent": False}, {"max_retries": 7}], ids=["same", "mortal", "other"])
def test_it_makes_no_second_subscription_while_the_new_name_is_hosted(
    services: Services, new: EventService, got: list[str], options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    seen_by_old: list[str] = []
    old = _code(services, new, "old", seen_by_old, **options)
    worker = services.work(old)
    old.bus.tending.make_round()
    assert _names(new) == ["new"]
    events = [(new if one % 2 else old).publish("a.b", {}) for one in range(6)]
    for event in events:
        eventually(lambda event=event: new.bus.tending.make_round() or event.id in got)
        record = new.wait(event.id)
        assert (record.status, [one.subscription for one in record.deliveries]) == (EventStatus.DELIVERED, ["new"])
    assert (sorted(got), seen_by_old) == (sorted(event.id for event in events), [])
    assert len(new.subscriptions.get("new").hosts) == 1
    [told] = _told(caplog, RENAMED)
    assert told.startswith("old is called new now, and a living process hosts it")
    worker.stop()
    services._workers.remove(worker)
    old.stop()
    assert _names(new) == ["new"]


def test_a_worker_that_has_renamed_it_counts_as_a_host_before_it_reads_its_queue(services: Services) -> None:
    before = _code(services, None, "old", [])
    before.bus.prepare()
    new = _code(services, before, "new", [], was="old")
    new.bus.declarations.host_all()
    new.bus.prepare()
    _code(services, before, "old", []).bus.prepare()
    assert _names(before) == ["new"]


def test_what_it_runs_under_the_former_name_is_recorded_as_of_the_present_one(
    services: Services, new: EventService
) -> None:
    """What was on the queue when the name changed is still called so, and may come to any process."""
    old = _code(services, new, "old", [])
    old.bus.prepare()
    assert old.broker.actors["old"].subscription.number == new.bus.subscriptions.get("new").number == 1


def test_going_back_for_good_subscribes_the_former_name_anew(
    services: Services, new: EventService, caplog: pytest.LogCaptureFixture
) -> None:
    """Once nobody is left with the newer code; the renamed one stays, and both logs and the doctor say so."""
    seen_by_old: list[str] = []
    _stop(services, new)
    old = _code(services, new, "old", seen_by_old)
    services.work(old)
    assert _names(old) == ["new", "old"]
    event = old.publish("a.b", {})
    eventually(lambda: seen_by_old == [event.id])
    [told] = _told(caplog, DOUBLED)
    assert told.startswith("old was renamed to new, which no living process hosts, and is a subscription of its own")
    found = finding(old, "declarations")
    assert found.said == (
        "new says that it was old, and there is a subscription of that name too: what both want goes to both"
    )


def test_going_back_step_by_step_subscribes_it_anew_when_nobody_has_hosted_the_new_name_for_a_while(
    services: Services, new: EventService
) -> None:
    """A process with the newer code that is only replaced is back before anybody notes that it is gone."""
    seen_by_old: list[str] = []
    old = _code(services, new, "old", seen_by_old)
    services.work(old)
    _stop(services, new)
    link, keys, now_ms = old.broker.link, old.broker.keys, old.broker.clock.real_ms()
    link.call("HDEL", keys.unhosted, "new")
    for _ in range(2):  # the second time it was noted, and not for long enough
        old.bus.tending.make_round()
        assert _names(old) == ["new"]
        link.call("HSET", keys.unhosted, "new", now_ms - 50_000)
    old.bus.tending.make_round()
    assert _names(old) == ["new"]
    link.call("HSET", keys.unhosted, "new", now_ms - 61_000)
    old.bus.tending.make_round()
    assert _names(old) == ["new", "old"]
    eventually(lambda: _is_hosted(old, "old"))
    event = old.publish("a.b", {})
    eventually(lambda: seen_by_old == [event.id])


def _stop(services: Services, events: EventService) -> None:
    for worker in services._workers:
        if worker.broker is events.broker:
            worker.stop()
    services._workers[:] = [one for one in services._workers if one.broker is not events.broker]
    events.broker.work.presence.leave()


def test_renamed_back_by_was_it_is_one_while_the_other_name_is_hosted(services: Services, new: EventService) -> None:
    back = _code(services, new, "old", [], was="new")
    back.bus.prepare()
    assert _names(back) == ["old"]


def test_code_that_gives_a_former_name_to_another_handler_has_both(
    services: Services, new: EventService, caplog: pytest.LogCaptureFixture
) -> None:
    newer = _code(services, new, "new", [])
    newer.on("a.b", name="old")(lambda event: None)
    newer.bus.prepare()
    assert _names(new) == ["new", "old"]
    assert _told(caplog, RENAMED) == _told(caplog, DOUBLED) == []


def test_what_is_subscribed_at_run_time_by_a_former_name_is_not_said_to_have_taken_it_from_nobody(
    services: Services, new: EventService, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends with its process, so it is declared whoever hosts the other; that no living process does was not true."""
    other = services.make(name=new.settings.name)
    other.subscribe("a.b", lambda event: None, name="old")
    assert _names(new) == ["new", "old"]
    assert _told(caplog, DOUBLED) == []


def test_who_has_renamed_it_leaves_the_deliveries_of_a_former_name_that_is_declared_anew(
    services: Services, new: EventService, got: list[str]
) -> None:
    seen: list[str] = []
    newer = _code(services, new, "new", [])
    newer.on("a.b", name="old")(lambda event: seen.append(event.id))
    newer.bus.prepare()
    assert "old" in new.broker.work.successors
    new.bus.tending.look()
    assert new.broker.work.successors == {}
    event = new.publish("a.b", {})
    eventually(lambda: got == [event.id])
    _stop(services, new)
    services.work(newer)
    eventually(lambda: newer.bus.tending.make_round() or seen == [event.id])
    record = newer.wait(event.id)
    assert sorted(one.subscription for one in record.deliveries) == ["new", "old"]
    assert got == [event.id]
