"""Steps of handlers that were taken before their subscription got another name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eventsys import DeadLetterFilter, Event, EventService, EventStatus
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("rounds_come_soon")


class _Charges:
    """Whether the charge was due each time, by the name of the subscription; and how the handler behaves."""

    def __init__(self) -> None:
        self.all: list[tuple[str, bool]] = []
        self.before: Callable[[], Any] = lambda: None
        self.fails = True

    def due(self) -> list[bool]:
        return [is_due for _, is_due in self.all]


@pytest.fixture
def charges() -> _Charges:
    return _Charges()


def _charging(
    services: Services, charges: _Charges, like: EventService | None = None, *, name: str, **options: Any
) -> EventService:
    """Return a service whose handler charges, on the bus of another one."""
    service = services.make() if like is None else services.make(name=like.settings.name)
    _charge(service, charges, name=name, **options)
    service.bus.prepare()
    return service


def _charge(service: EventService, charges: _Charges, *, name: str, **options: Any) -> None:
    def handle(event: Event) -> None:
        charges.before()
        with service.once(event, "charge") as is_due:
            charges.all.append((name, is_due))
        if charges.fails:
            raise RuntimeError("after the charge")

    service.on("order.paid", name=name, **options)(handle)


def _charge_many(service: EventService, charges: _Charges, *, name: str, **options: Any) -> None:
    def handle(events: list[Event]) -> None:
        for event in events:
            with service.once(event, "charge") as is_due:
                charges.all.append((name, is_due))

    service.on("order.paid", name=name, batch_size=2, **options)(handle)


@contextmanager
def _working(services: Services, service: EventService) -> Iterator[None]:
    worker = services.work(service)
    try:
        yield
    finally:
        worker.stop()
        services._workers.remove(worker)


def _redrive(service: EventService, name: str) -> None:
    assert service.dead_letters.redrive_all(DeadLetterFilter(subscription=name)).redriven == 1


def _dead_letters(service: EventService, count: int) -> Callable[[], bool]:
    return lambda: service.dead_letters.list().total == count


@pytest.mark.redis62
def test_a_redrive_after_a_rename_finds_the_step_taken(services: Services, charges: _Charges) -> None:
    old = _charging(services, charges, name="charge", max_retries=0)
    with _working(services, old):
        event = old.publish("order.paid", {})
        assert old.wait(event.id).status is EventStatus.FAILED
    charges.fails = False
    new = _charging(services, charges, old, name="new", was="charge")
    with _working(services, new):
        _redrive(new, "new")
        assert new.wait(event.id).status is EventStatus.DELIVERED
    assert charges.due() == [True, False]


def test_a_retry_after_a_second_rename_finds_the_step_taken(services: Services, charges: _Charges) -> None:
    old = _charging(services, charges, name="charge", retry_delay="1h")
    with _working(services, old):
        event = old.publish("order.paid", {})
        eventually(lambda: old.delayed.get_waiting_retries().total == 1)
    charges.fails = False
    _charging(services, charges, old, name="pay", was="charge")
    new = _charging(services, charges, old, name="new", was=("charge", "pay"))
    with _working(services, new):
        clock = new.broker.clock
        clock.turn_to(clock.now_ms() + 3_600_000)
        assert new.wait(event.id).status is EventStatus.DELIVERED
    assert charges.due() == [True, False]


def test_a_rename_that_comes_while_an_attempt_runs_hides_no_step(services: Services, charges: _Charges) -> None:
    old = _charging(services, charges, name="charge", max_retries=0)
    with _working(services, old):
        event = old.publish("order.paid", {})
        assert old.wait(event.id).status is EventStatus.FAILED
    charges.fails = False
    charges.before = lambda: _charging(services, charges, old, name="new", was=("charge", "pay"))
    pay = _charging(services, charges, old, name="pay", was="charge")
    with _working(services, pay):
        _redrive(pay, "pay")
        assert pay.wait(event.id).status is EventStatus.DELIVERED
    assert charges.due() == [True, False]


def test_a_batch_after_a_rename_finds_the_step_of_each_of_its_events_taken(
    services: Services, charges: _Charges
) -> None:
    old = _charging(services, charges, name="charge", max_retries=0)
    with _working(services, old):
        event = old.publish("order.paid", {})
        assert old.wait(event.id).status is EventStatus.FAILED
    new = services.make(name=old.settings.name)
    _charge_many(new, charges, name="new", was="charge")
    with _working(services, new):
        _redrive(new, "new")
        assert new.wait(event.id).status is EventStatus.DELIVERED
    assert charges.due() == [True, False]


def test_a_replay_finds_its_own_steps_after_a_rename_and_no_others(services: Services, charges: _Charges) -> None:
    old = _charging(services, charges, name="charge", max_retries=0)
    charges.fails = False
    with _working(services, old):
        event = old.publish("order.paid", {})
        assert old.wait(event.id).status is EventStatus.DELIVERED
        charges.fails = True
        old.replays.replay("charge")
        eventually(_dead_letters(old, 1))
    charges.fails = False
    new = _charging(services, charges, old, name="new", was="charge")
    with _working(services, new):
        _redrive(new, "new")
        eventually(lambda: len(charges.all) == 3)
        new.replays.replay("new")
        eventually(lambda: len(charges.all) == 4)
    assert charges.due() == [True, True, False, True]


def test_a_step_of_another_subscription_that_bears_a_former_name_is_not_taken_for_ones_own(
    services: Services, charges: _Charges
) -> None:
    """Both names were there already, so the one did not take the other over."""
    charges.fails = False
    old = _charging(services, charges, name="old")
    _charge(old, charges, name="new")
    old.bus.prepare()
    old.subscriptions.pause("new")
    with _working(services, old):
        event = old.publish("order.paid", {})
        eventually(lambda: charges.all == [("old", True)])
    new = _charging(services, charges, old, name="new", was="old")
    new.subscriptions.resume("new")
    with _working(services, new):
        assert new.wait(event.id).status is EventStatus.DELIVERED
    assert charges.all == [("old", True), ("new", True)]
