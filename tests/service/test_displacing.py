"""One name that two applications declare differently: the later declaration holds, and both are told."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import Event, EventService, SubscriptionOptions
from eventsys.bus.displacing import Displacements
from eventsys.model.standing import SubscriptionState
from eventsys.model.subscription import Subscription
from tests.support.services import Services
from tests.support.waiting import eventually

# Two rounds of one process at once would tell the same, and the older one what holds no longer.
pytestmark = pytest.mark.usefixtures("rounds_by_hand")

REPLACED, DISPLACED = "subscription_replaced", "subscription_displaced"


def _told(caplog: pytest.LogCaptureFixture, action: str) -> list[str]:
    return [one.getMessage() for one in caplog.records if getattr(one, "action", "") == action]


def _handle(event: Event) -> None:
    """Do nothing."""


def _is_hosted(events: EventService) -> bool:
    events.bus.tending.make_round()
    return bool(events.subscriptions.get("mail").hosts)


def _declared(pattern: str, *, queue: str, **options: Any) -> Subscription:
    return Subscription.declare(
        "mail", pattern, SubscriptionOptions(**options), queue=queue, persistent=True, created_ms=1
    )


@pytest.fixture
def two(services: Services) -> tuple[EventService, EventService]:
    """Two applications on one bus, each with a handler named mail."""
    shop = services.make(app="shop")
    crm = services.make(app="crm", name=shop.settings.name)
    shop.on("order.paid", name="mail")(_handle)
    crm.on("user.login", name="mail")(_handle)
    return shop, crm


@pytest.mark.redis62
def test_who_takes_a_name_from_another_application_and_who_loses_it_are_warned_once(
    services: Services, two: tuple[EventService, EventService], caplog: pytest.LogCaptureFixture
) -> None:
    shop, crm = two
    services.work(shop)
    eventually(lambda: _is_hosted(shop))
    assert _told(caplog, REPLACED) == []
    crm.bus.prepare()
    for _ in range(2):
        crm.bus.declarations.adopt(crm.bus.declarations.hosted())
        shop.bus.tending.make_round()
    [taken] = _told(caplog, REPLACED)
    assert "mail was declared by the application shop with another pattern, queue, and the application crm" in taken
    [lost] = _told(caplog, DISPLACED)
    assert "the application crm has declared it with another pattern, queue, its deliveries go to the queue crm" in lost


@pytest.mark.redis62
def test_a_worker_hosts_no_subscription_whose_queue_another_application_reads(
    services: Services, two: tuple[EventService, EventService]
) -> None:
    """It has a handler of that name, and would never be given a delivery."""
    shop, crm = two
    services.work(shop)
    eventually(lambda: _is_hosted(shop))
    crm.bus.prepare()
    shop.bus.tending.make_round()
    assert crm.subscriptions.get("mail").state is SubscriptionState.UNHOSTED
    services.work(crm)
    eventually(lambda: _is_hosted(crm))
    assert len(crm.subscriptions.get("mail").hosts) == 1


def test_a_deploy_of_one_application_takes_nothing_from_anybody(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    old = services.make(app="shop")
    new = services.make(app="shop", name=old.settings.name)
    old.on("order.paid", name="mail")(_handle)
    new.on("order.#", name="mail", queue="letters")(_handle)
    services.work(old)
    eventually(lambda: _is_hosted(old))
    new.bus.prepare()
    old.bus.tending.make_round()
    assert _told(caplog, REPLACED) + _told(caplog, DISPLACED) == []


def test_code_that_overrules_a_process_is_told_to_it(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    process = services.make()
    code = services.make(name=process.settings.name, app="shop")
    process.subscribe("a.b", _handle, name="mail")
    code.on("a.#", name="mail")(_handle)
    code.bus.prepare()
    [taken] = _told(caplog, REPLACED)
    assert f"was declared by the process {process.broker.presence.name}, at run time, with another pattern" in taken


def test_it_is_told_anew_when_it_happens_anew(caplog: pytest.LogCaptureFixture) -> None:
    own, other = _declared("order.paid", queue="shop"), _declared("user.login", queue="crm")
    displacements = Displacements()
    for row in (other, other, own, other):
        found = displacements.among([own], {"mail": row})
        assert [one.differ for one in found] == ([] if row is own else [["pattern", "queue"]])
    assert len(_told(caplog, DISPLACED)) == 2


def test_declarations_that_only_a_number_in_a_filter_tells_apart_differ_in_their_filter() -> None:
    whole, broken = ({"payload.amount": {"numeric": [">=", one]}} for one in (1, 1.0))
    own, row = _declared("a", queue="shop", where=whole), _declared("a", queue="shop", where=broken)
    assert own.declaration_hash != row.declaration_hash
    [found] = Displacements().among([own], {"mail": row})
    assert found.differ == ["where"]
