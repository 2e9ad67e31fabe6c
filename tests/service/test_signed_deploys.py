"""A deploy that widens a pattern, with keys: what only the new code wants waits for it, and never runs in the old."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eventsys import Event, EventFilter, EventService, EventStatus
from eventsys.broker.overruled import Overruled
from eventsys.clock import Clock
from eventsys.store.hosts import HostStore
from tests.support.entries import add_entry
from tests.support.fixtures import SEALED
from tests.support.services import Services
from tests.support.waiting import eventually

#: Handlers that get `order.paid` with the payload `{"n": 7}`, as the new code declares them, and as the old code did.
WIDENED = [
    ({"pattern": "order.placed"}, {"pattern": "order.*"}),
    ({"pattern": "order.*", "where": {"payload.n": [1]}}, {"pattern": "order.*"}),
]

# A round of the old process puts what waits back on the queue, for any process to take.
pytestmark = pytest.mark.usefixtures("rounds_by_hand")


@pytest.fixture
def sealing() -> dict[str, str]:
    return SEALED


def _declare(services: Services, like: EventService | None, declared: dict[str, Any], got: list[str]) -> EventService:
    service = services.make() if like is None else services.make(name=like.settings.name)
    options = dict(declared)
    service.on(options.pop("pattern"), name="mail", **options)(lambda event: got.append(event.id))
    service.bus.prepare()
    return service


def _alarms(events: EventService) -> list[Event]:
    events.bus.system.flush(60)
    return events.get_event_records(EventFilter(types=("system.warning",))).items


@pytest.mark.redis62
@pytest.mark.parametrize(("narrow", "wide"), WIDENED, ids=["pattern", "filter"])
def test_what_the_new_code_wants_waits_for_it(services: Services, narrow: dict[str, Any], wide: dict[str, Any]) -> None:
    seen_by_old, seen_by_new = list[str](), list[str]()
    old = _declare(services, None, narrow, seen_by_old)
    worker = services.work(old)
    new = _declare(services, old, wide, seen_by_new)
    event = new.publish("order.paid", {"n": 7})
    eventually(lambda: new.subscriptions.get("mail").waiting == 1)
    assert new.dead_letters.list().items == []
    for _ in range(2):  # the old process is a host too, so it puts back what waits; it does not take it for forged then
        old.bus.tending.make_round()
        eventually(lambda: new.subscriptions.get("mail").waiting == 1)
    worker.stop()
    services._workers.clear()
    services.work(new)
    eventually(lambda: new.bus.tending.make_round() or seen_by_new)
    assert new.wait(event.id).status is EventStatus.DELIVERED
    assert (seen_by_old, seen_by_new) == ([], [event.id])
    assert new.dead_letters.list().items == _alarms(new) == []


def test_what_no_living_process_wants_does_not_wait_for_ever(services: Services) -> None:
    """An old process put its wider pattern back and ended: what only that wants would come by again and again."""
    got = list[str]()
    new = _declare(services, None, {"pattern": "order.placed"}, got)
    old = _declare(services, new, {"pattern": "order.*"}, [])
    overruled = Overruled(new.broker.link, new.broker.keys, new.broker.clock, patience_ms=0)
    new.broker.work.overruled = overruled
    worker = services.work(old)
    declared = new.broker.actors["mail"].subscription
    hosts = HostStore(new.broker.link, new.broker.keys)
    eventually(lambda: old.bus.tending.make_round() or hosts.is_hosted_as_declared("mail", new.broker.clock.real_ms()))
    assert overruled.may_wait(declared)
    worker.stop()
    services._workers.clear()
    old.stop()
    services.work(new)
    eventually(lambda: new.bus.tending.make_round() or not overruled.may_wait(declared))
    new.publish("order.paid", {"n": 7})
    wanted = new.publish("order.placed", {"n": 7})
    assert new.wait(wanted.id).status is EventStatus.DELIVERED
    eventually(lambda: [one.reason for one in new.dead_letters.list().items] == ["bad_signature"])
    assert got == [wanted.id]


def test_the_wait_for_newer_code_begins_when_there_is_none(events: EventService) -> None:
    """Not when this process first turned something down, maybe a day ago, beside newer code that lived then."""
    events.on("order.placed", name="mail")(lambda event: None)
    events.bus.prepare()
    work, declared = events.broker.work, events.broker.actors["mail"].subscription
    now_s, hosted = [0.0], [False]

    def hold(declaration_hash: str) -> None:
        row = json.dumps({"declaration_hash": declaration_hash})
        work.link.call("HSET", work.keys.subscriptions, "mail", row)

    clock = SimpleNamespace(monotonic=lambda: now_s[0], real_ms=work.clock.real_ms)
    overruled = Overruled(work.link, work.keys, cast("Clock", clock), patience_ms=900_000)
    overruled._hosts = cast("HostStore", SimpleNamespace(is_hosted_as_declared=lambda *_: hosted[0]))

    def may_wait_at(moment_s: float) -> bool:
        now_s[0] = moment_s
        return overruled.may_wait(declared)

    assert not may_wait_at(0)
    hold("newer")
    assert [may_wait_at(moment_s) for moment_s in (10, 500, 909, 911)] == [True, True, True, False]
    hosted[0] = True
    assert may_wait_at(920)
    hosted[0] = False
    assert [may_wait_at(moment_s) for moment_s in (1_000, 1_800, 1_901)] == [True, True, False]
    hold("newer still")
    assert may_wait_at(1_910)
    assert [may_wait_at(moment_s) for moment_s in (90_000, 90_800, 90_901)] == [True, True, False]


@pytest.mark.parametrize(
    ("edit", "is_refused"),
    [
        (lambda row: json.dumps({**json.loads(row), "declaration_hash": "another"}), False),
        (lambda row: row, True),
        (lambda row: "no row", True),
        (lambda row: '{"declaration_hash": 1}', True),
    ],
    ids=["another row", "its own row", "no json", "no hash"],
)
def test_an_event_pointed_at_a_handler_that_does_not_want_it_never_runs_whatever_its_row_says(
    events: EventService, edit: Callable[[str], str], is_refused: bool
) -> None:
    """Who can write to Redis can write the row, too."""
    got: list[str] = []
    events.on("order.placed", name="mail")(lambda event: got.append(event.id))
    events.bus.prepare()
    link, keys, seal = events.broker.link, events.broker.keys, events.broker.work.seal
    row = link.call("HGET", keys.subscriptions, "mail").decode()
    link.call("HSET", keys.subscriptions, "mail", edit(row))
    envelope = seal.signed("event", events.bus.drafter.draft("order.paid", {"n": 7}).envelope)
    add_entry(events.broker, keys.lane("tests", 5), "s", "mail", "e", envelope)
    consumer = events.broker.consume("tests", prefetch=64, timeout=0)
    assert consumer.take_all() == got == []
    eventually(lambda: link.call("XLEN", keys.lane("tests", 5)) == 0)
    link.call("HSET", keys.subscriptions, "mail", row)
    eventually(lambda: len(events.broker.work.in_flight) == 0)
    letters = [one.reason for one in events.dead_letters.list().items]
    assert letters == (["bad_signature"] if is_refused else [])
    assert events.subscriptions.get("mail").waiting == (not is_refused)
    assert bool(_alarms(events)) is is_refused
