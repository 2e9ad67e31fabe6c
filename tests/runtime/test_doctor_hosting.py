"""The doctor names those who declare a subscription differently, and says when nobody dispatches."""

from __future__ import annotations

import pytest

from eventsys import Event, EventService
from eventsys.model.diagnosis import Severity
from tests.runtime.findings import finding, findings
from tests.support.services import Services
from tests.support.waiting import eventually


def _handle(event: Event) -> None:
    """Do nothing."""


def _is_hosted(events: EventService) -> bool:
    events.bus.tending.make_round()
    return bool(events.subscriptions.get("mail").hosts)


@pytest.mark.redis62
@pytest.mark.usefixtures("rounds_by_hand")  # one that began before the other declaration says what was before
def test_a_name_that_two_applications_declare_is_a_problem_that_names_both(services: Services) -> None:
    shop = services.make(app="shop")
    crm = services.make(app="crm", name=shop.settings.name)
    shop.on("order.paid", name="mail")(_handle)
    services.work(shop)
    eventually(lambda: _is_hosted(shop))
    assert finding(crm, "declarations").severity is Severity.OK
    [address] = shop.subscriptions.get("mail").hosts

    crm.on("user.login", name="mail")(_handle)
    crm.bus.prepare()
    shop.bus.tending.make_round()
    found = finding(crm, "declarations")
    assert found.severity is Severity.PROBLEM
    assert found.said == (
        f"shop ({address}) declares mail with another pattern, queue than crm, whose declaration is the later one and"
        " holds: the handlers of shop may get nothing; no living process reads crm, where the deliveries go"
    )
    assert "another name=" in (found.remedy or "")
    services.work(crm)
    eventually(lambda: "no living process" not in finding(crm, "declarations").said)
    assert finding(crm, "declarations").severity is Severity.PROBLEM


@pytest.mark.usefixtures("rounds_by_hand")
def test_old_and_new_code_side_by_side_is_something_to_look_at(services: Services) -> None:
    old = services.make(app="shop")
    new = services.make(app="shop", name=old.settings.name)
    old.on("order.paid", name="mail")(_handle)
    services.work(old)
    eventually(lambda: _is_hosted(old))
    new.on("order.paid", name="mail", max_retries=7)(_handle)
    new.bus.prepare()
    old.bus.tending.make_round()
    found = finding(new, "declarations")
    assert found.severity is Severity.WARNING
    assert found.said.endswith(" declared mail with another max_retries than shop does now")


@pytest.mark.usefixtures("rounds_by_hand")
def test_the_remedy_is_right_where_the_processes_it_names_have_the_newer_code(services: Services) -> None:
    """A worker with the old code that is replaced during a deploy puts its declaration back; then no deploy ends it."""
    new = services.make(app="shop")
    new.on("order.#", name="mail")(_handle)
    services.work(new)
    eventually(lambda: _is_hosted(new))
    [address] = new.subscriptions.get("mail").hosts
    replaced = services.make(app="shop", name=new.settings.name)
    replaced.on("order.paid", name="mail")(_handle)
    replaced.bus.prepare()
    new.bus.tending.make_round()
    found = finding(replaced, "declarations")
    assert found.said == f"{address} declared mail with another pattern than shop does now"
    assert "if the code of the processes named here is the newer one, start them anew" in (found.remedy or "")


def test_processes_of_which_none_dispatches_are_a_problem(services: Services, events: EventService) -> None:
    assert findings(events, "dispatcher") == []
    events.subscribe("a.b", _handle, name="mine")
    events.start()
    found = finding(events, "dispatcher")
    assert found.severity is Severity.PROBLEM
    assert (
        found.said
        == "1 process that runs handlers is alive, and none dispatches: events are stored, and reach no handler"
    )
    services.work(services.make(name=events.settings.name))
    eventually(lambda: finding(events, "dispatcher").severity is Severity.OK)
