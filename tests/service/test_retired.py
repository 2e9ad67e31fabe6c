"""An application is retired: what its subscriptions have on a queue that nobody reads is cancelled when they end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from eventsys import DeliveryStatus, Event, EventService
from eventsys.broker.lease import Lease
from eventsys.store import settlement
from eventsys.store.keys import LOG_QUEUE
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("rounds_by_hand")


def _fail(event: Event) -> None:
    raise RuntimeError("not now")


def _declare(events: EventService, *names: str, **options: Any) -> None:
    for name in names:
        events.on("a.b", name=name, queue="shared", max_retries=3, retry_delay="1h", **options)(_fail)
    events.bus.declarations.host_all()
    events.bus.prepare()


@pytest.fixture
def operator(services: Services) -> EventService:
    """A process that reads no queue but the log."""
    events = services.make()
    services.work(events, queues={LOG_QUEUE})
    return events


@pytest.fixture
def retired(services: Services, operator: EventService) -> EventService:
    """The application `mine` and `others` are of, which share a queue; four deliveries of each are open on it."""
    events = services.make(name=operator.settings.name)
    _declare(events, "mine", "others")
    _publish(operator, 4)
    return events


def _publish(events: EventService, count: int, names: int = 2) -> None:
    link, lane = events.broker.link, events.broker.keys.lane("shared", 5)
    before = int(link.call("XLEN", lane))
    for _ in range(count):
        events.publish("a.b", {})
    eventually(lambda: int(link.call("XLEN", lane)) == before + names * count, timeout_s=15)


def _statuses(events: EventService) -> Counter[tuple[str, DeliveryStatus]]:
    records = events.get_event_records().items
    return Counter((one.subscription, one.status) for record in records for one in record.deliveries)


@pytest.mark.redis62
def test_what_is_open_on_a_queue_that_nobody_reads_is_cancelled_and_retries_too(
    services: Services, operator: EventService, retired: EventService
) -> None:
    worker = services.work(retired, queues={"shared"})
    eventually(lambda: operator.delayed.get_waiting_retries().total == 8)
    worker.stop()
    retired.broker.close()
    _publish(operator, 3)

    operator.subscriptions.delete("mine")
    assert _statuses(operator) == {
        ("mine", DeliveryStatus.CANCELLED): 7, ("others", DeliveryStatus.WAITING): 4,
        ("others", DeliveryStatus.PENDING): 3,
    }  # fmt: skip
    assert operator.bus.subscriptions.ended() == {}
    operator.subscriptions.delete("others")
    link, keys = operator.broker.link, operator.broker.keys
    assert link.call("XLEN", keys.lane("shared", 5)) == 0
    assert operator.delayed.get_waiting_retries().total == 0
    assert operator.get_metrics().pending_events == 0


def test_retries_are_looked_at_to_the_last_however_many_there_are(
    services: Services, operator: EventService, retired: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in a set, which is looked at part by part; Redis gives a small one away in one go."""
    worker = services.work(retired, queues={"shared"})
    operator.publish_many([("a.b", {})] * 196)
    eventually(lambda: operator.delayed.get_waiting_retries().total == 400)
    worker.stop()
    retired.broker.close()
    monkeypatch.setattr(settlement, "_AT_ONCE", 20)
    link, steps = operator.broker.link, list[str]()
    run = link.run

    def note_and_run(script: Any, *arguments: Any) -> Any:
        steps.append(script.name)
        return run(script, *arguments)

    monkeypatch.setattr(link, "run", note_and_run)
    operator.subscriptions.delete("mine")
    assert steps.count("cancel_shared") > 10
    assert operator.delayed.get_waiting_retries().total == 200
    assert operator.get_metrics().pending_events == 200


def test_what_was_given_to_it_under_a_former_name_is_cancelled(
    services: Services, operator: EventService, retired: EventService
) -> None:
    newer = services.make(name=retired.settings.name)
    _declare(newer, "theirs", was="mine")
    operator.subscriptions.delete("theirs")
    assert _statuses(operator)["theirs", DeliveryStatus.CANCELLED] == 4


def test_what_somebody_reads_is_left_to_who_reads_it(
    services: Services, operator: EventService, retired: EventService
) -> None:
    reader = services.make(name=retired.settings.name)
    reader.broker.presence.enter("shared")
    operator.subscriptions.delete("mine")
    assert operator.bus.subscriptions.ended() == {}
    assert _statuses(operator)["mine", DeliveryStatus.PENDING] == 4


def test_what_ended_with_its_last_host_is_left_to_who_declares_it_anew(
    services: Services, operator: EventService
) -> None:
    """A worker died and is replaced: its backlog is the next one's."""
    died = services.make(name=operator.settings.name)
    _declare(died, "mine", persistent=False)
    operator.bus.tending.make_round()
    _publish(operator, 3, names=1)
    link, keys = operator.broker.link, operator.broker.keys
    link.call("ZREM", keys.processes, died.broker.presence.name)

    operator.bus.tending.make_round()
    assert operator.bus.subscriptions.get("mine") is None
    assert operator.bus.subscriptions.ended() == {}
    assert _statuses(operator) == {("mine", DeliveryStatus.PENDING): 3}

    replacement = services.make(name=operator.settings.name)
    _declare(replacement, "mine", persistent=False)
    services.work(replacement, queues={"shared"})
    eventually(lambda: operator.delayed.get_waiting_retries().total == 3, timeout_s=15)


def test_who_declares_it_anew_cancels_nothing_of_what_it_is_about_to_read(
    services: Services, operator: EventService, retired: EventService
) -> None:
    """A worker declares what it hosts before it reads a queue."""
    assert operator.bus.subscriptions.remove("mine")
    _declare(services.make(name=retired.settings.name), "mine")
    assert operator.bus.subscriptions.ended() == {}
    assert _statuses(operator)["mine", DeliveryStatus.PENDING] == 4


@pytest.mark.parametrize("is_overdue", [False, True])
def test_who_declares_it_anew_with_another_queue_cancels_what_is_on_the_former(
    services: Services, operator: EventService, retired: EventService, is_overdue: bool
) -> None:
    """Nobody would look after that any more; an overdue lease keeps nobody waiting who declares."""
    if is_overdue:
        reader = services.make(name=retired.settings.name)
        reader.broker.work.lease = Lease(lease_ms=600_000, beat_s=600.0, scan_s=600.0, round_s=600.0)
        reader.broker.presence.enter("shared")
        operator.broker.link.call("ZADD", operator.broker.keys.processes, 1, reader.broker.presence.name)
    assert operator.bus.subscriptions.remove("mine")
    anew = services.make(name=retired.settings.name)
    anew.on("a.b", name="mine", queue="another")(_fail)
    anew.bus.prepare()
    assert operator.bus.subscriptions.ended() == {}
    assert _statuses(operator)["mine", DeliveryStatus.CANCELLED] == 4


@pytest.mark.parametrize(("comes_back", "status"), [(True, DeliveryStatus.PENDING), (False, DeliveryStatus.CANCELLED)])
def test_whether_somebody_reads_it_is_decided_when_no_lease_is_overdue(
    services: Services, operator: EventService, retired: EventService, comes_back: bool, status: DeliveryStatus
) -> None:
    """Redis was away, say: whoever reads the queue may renew its lease, and runs something of it perhaps."""
    reader = services.make(name=retired.settings.name)
    reader.broker.work.lease = Lease(lease_ms=600_000, beat_s=600.0, scan_s=600.0, round_s=600.0)
    reader.broker.presence.enter("shared")
    link, keys = operator.broker.link, operator.broker.keys
    link.call("ZADD", keys.processes, 1, reader.broker.presence.name)
    operator.subscriptions.delete("mine")
    assert operator.bus.subscriptions.ended() == {"mine": "shared"}
    assert _statuses(operator)["mine", DeliveryStatus.PENDING] == 4

    ends_ms = operator.broker.clock.real_ms() + 600_000 if comes_back else 0
    link.call("ZADD", keys.processes, ends_ms, reader.broker.presence.name)
    operator.bus.tending.make_round()
    assert operator.bus.subscriptions.ended() == {}
    assert _statuses(operator)["mine", status] == 4


def test_a_round_goes_on_where_the_one_before_stopped(
    operator: EventService, retired: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what others have there in front would be all that it ever looks at."""
    monkeypatch.setattr(settlement, "_AT_ONCE", 2)
    clock, link, calls = operator.broker.clock, operator.broker.link, list[str]()
    run, monotonic = link.run, clock.monotonic

    def run_slowly(script: Any, *arguments: Any) -> Any:
        if script.name == "cancel_shared":
            calls.append(script.name)
        return run(script, *arguments)

    monkeypatch.setattr(link, "run", run_slowly)
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + len(calls))
    operator.bus.subscriptions.remove("others")
    operator.bus.tending.make_round()
    assert len(calls) == 1
    assert operator.bus.subscriptions.ended() == {"others": "shared"}

    def is_settled() -> bool:
        operator.bus.tending.make_round()
        return operator.bus.subscriptions.ended() == {}

    eventually(is_settled)
    assert _statuses(operator)["others", DeliveryStatus.CANCELLED] == 4
    assert _statuses(operator)["mine", DeliveryStatus.PENDING] == 4
