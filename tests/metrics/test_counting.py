"""The counters that the scripts keep."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from eventsys import Event, EventService, InvalidEventError, Reject, Retry
from eventsys.broker.worker import Worker
from eventsys.clock import to_ms
from eventsys.testing import EventHarness
from tests.support.services import Services
from tests.support.trimming import HOUR, retention_of, trim_all
from tests.support.waiting import eventually

Work = Callable[..., Any]


@pytest.mark.redis62
def test_counters_agree_with_what_really_happened(events: EventService, quick_work: Work) -> None:
    """Random outcomes, counted a second time by the handlers themselves."""
    chance = random.Random(7)
    told: Counter[tuple[str, str, str]] = Counter()

    def outcome(subscription: str) -> Callable[[Event], None]:
        def handler(event: Event) -> None:
            what = event.payload[subscription]
            told[event.id, subscription, "attempts"] += 1
            if what == "retry" and told[event.id, subscription, "attempts"] < 3:
                raise Retry(delay="1ms")
            if what == "die":
                raise Reject("no")

        return handler

    for name, pattern in (("all", "*.*"), ("users", "client.*")):
        events.on(pattern, name=name, retry_delay="1ms")(outcome(name))
    quick_work(threads=8)
    kinds, outcomes = ["client.seen", "client.gone", "order.placed"], ["well", "retry", "die"]
    published = [
        events.publish(chance.choice(kinds), {"all": chance.choice(outcomes), "users": chance.choice(outcomes)})
        for _ in range(120)
    ]
    for event in published:
        events.wait(event.id)

    totals = events.get_metrics()
    by_type, by_name = events.get_metrics(by="type"), events.get_metrics(by="subscription")
    wanted = _wanted(published)
    for event_type in ("client.seen", "client.gone", "order.placed"):
        figures = by_type[event_type]
        assert figures.total_events == sum(event.type == event_type for event in published)
        assert figures.failed_events == wanted[f"{event_type} failed"]
        assert figures.delivered_events == wanted[f"{event_type} delivered"]
        assert figures.pending_events == figures.backlog == 0
    for name in ("all", "users"):
        own = by_name[name]
        assert (own.succeeded, own.dead, own.retries) == (
            wanted[f"{name} succeeded"], wanted[f"{name} dead"], wanted[f"{name} retries"],
        )  # fmt: skip
        assert own.attempts == own.duration.count == sum(told[event.id, name, "attempts"] for event in published)
        assert own.latency.count == own.deliveries == own.succeeded + own.dead
        assert own.success_ratio == own.succeeded / own.deliveries
        assert own.backlog == 0
        assert own.oldest_waiting is None
    assert totals.total_events == 120
    assert totals.dead_letters == totals.dead == sum(one.dead for one in by_name.values())
    assert totals.deliveries == sum(one.deliveries for one in by_name.values())
    assert totals.duration.count == totals.attempts


def test_what_several_processes_do_is_added_up_exactly(services: Services, events: EventService) -> None:
    """Each service has its own connections, committer and lease, as a process of its own has."""
    others = [services.make(name=events.settings.name) for _ in range(2)]
    for one in (events, *others):
        one.on("client.*", name="h")(_nothing)
        services.work(one, Worker, threads=2)
    published = [one.publish("client.seen", {}) for _ in range(50) for one in (events, *others)]
    for event in published:
        events.wait(event.id)
    for one in (events, *others):
        figures = one.get_metrics(by="subscription")["h"]
        assert (figures.deliveries, figures.succeeded, figures.duration.count) == (150, 150, 150)
        assert one.get_metrics().total_events == 150


def test_backlog_and_oldest_waiting_are_as_of_now(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    events.on("client.*", name="busy")(_nothing)
    events.on("order.*", name="idle")(_nothing)
    now_ms = events.broker.clock.now_ms()
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms)
    for _ in range(3):
        events.publish("client.seen", {})
    _dispatch(events)
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms + 90_000)
    figures = events.get_metrics(by="subscription")
    assert (figures["busy"].backlog, figures["busy"].oldest_waiting) == (3, timedelta(seconds=90))
    assert (figures["idle"].backlog, figures["idle"].oldest_waiting) == (0, None)
    types = events.get_metrics(by="type")
    assert (types["client.seen"].backlog, types["client.seen"].pending_events) == (3, 3)
    assert types["client.seen"].oldest_waiting == timedelta(seconds=90)
    assert events.get_metrics().oldest_waiting == timedelta(seconds=90)


@pytest.mark.redis62
def test_what_waits_for_longer_than_the_history_lasts_is_the_oldest_still(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, now_ms = events.broker.clock, events.broker.clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    events.subscribe("client.*", _nothing, name="held")
    events.subscriptions.pause("held")
    events.publish("client.seen", {})
    _dispatch(events)
    later_ms = now_ms + 72 * HOUR
    monkeypatch.setattr(clock, "now_ms", lambda: later_ms)
    assert trim_all(retention_of(events), later_ms) == 1
    events.publish("client.seen", {})
    events.bus.system.warn("rates:late", "the rates are two hours old; ask the bank")
    assert events.bus.system.flush(60)
    assert events.get_metrics(by="type")["client.seen"].oldest_waiting == timedelta(days=3)
    assert events.get_metrics(by="subscription")["held"].oldest_waiting == timedelta(days=3)
    assert events.get_metrics().oldest_waiting == timedelta(days=3)


@pytest.mark.redis62
def test_what_was_redriven_is_as_old_as_that_and_hides_nothing_older(harness: EventHarness) -> None:
    """Letters of last month set off the alert for an old backlog the moment they were sent again."""
    events = harness.events

    def handle(event: Event) -> None:
        raise Reject("no")

    events.subscribe("a.b", handle, name="h")
    for _ in range(120):  # more than one look goes through
        harness.publish("a.b", {})
    harness.run()
    events.subscriptions.pause("h")
    harness.advance(hours=2)
    assert events.dead_letters.redrive_all().redriven == 120
    harness.advance(minutes=30)
    assert events.get_metrics(by="subscription")["h"].oldest_waiting == timedelta(minutes=30)
    assert events.get_metrics(by="type")["a.b"].oldest_waiting == timedelta(hours=2, minutes=30)
    events.subscriptions.resume("h")
    harness.run()

    events.subscriptions.pause("h")
    harness.publish("a.b", {})
    harness.run()
    harness.advance(minutes=5)
    assert events.dead_letters.redrive_all().redriven == 120
    harness.advance(minutes=1)
    assert events.get_metrics(by="subscription")["h"].oldest_waiting == timedelta(minutes=6)


def test_what_the_system_says_of_itself_is_not_the_oldest_that_waits(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.on("client.*", name="busy")(_nothing)
    events.get_metrics()
    clock, now_ms = events.broker.clock, events.broker.clock.now_ms()
    events.bus.system.warn("rates:late", "the rates are two hours old; ask the bank")
    assert events.bus.system.flush(60)
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms + 30_000)
    assert events.get_metrics().oldest_waiting is None
    assert events.get_metrics(by="type")["system.warning"].pending_events == 1
    events.publish("client.seen", {})
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms + 90_000)
    assert events.get_metrics().oldest_waiting == timedelta(seconds=60)


def test_rates_look_back_a_minute_five_and_an_hour(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    minute = 60_000
    start_ms = (events.broker.clock.now_ms() // minute) * minute
    for back, count in ((0, 30), (1, 60), (3, 60), (59, 600), (200, 9_000)):
        monkeypatch.setattr(events.broker.clock, "now_ms", lambda back=back: start_ms - back * minute + 30_000)
        for _ in range(count // 500 + 1):
            events.publish_many([("client.seen", {})] * min(count, 500))
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: start_ms + 30_000)
    rates = events.get_metrics().rate
    # Of the minute before this one, half counts: this one is half over.
    assert rates.one_minute == pytest.approx((30 + 60 / 2) / 60)
    assert rates.five_minutes == pytest.approx((30 + 60 + 60) / 300)
    assert rates.one_hour == pytest.approx((30 + 60 + 60 + 1000) / 3600)
    assert events.get_metrics(by="type")["client.seen"].rate == rates


def test_what_the_system_says_is_not_counted_with_the_application(events: EventService) -> None:
    events.publish("client.seen", {})
    events.publish("system.warning", {"message": "m"})
    events.publish("cron.task.created", {"task": "t"})
    figures = events.get_metrics()
    assert (figures.total_events, figures.system_events) == (1, 2)
    assert events.get_metrics(by="type")["system.warning"].total_events == 1


@pytest.mark.redis62
def test_the_number_of_counters_is_bounded(events: EventService, quick_work: Work) -> None:
    events.on("t.*", name="h")(_nothing)
    quick_work()
    for start in range(0, 1_100, 100):
        last = events.publish_many([(f"t.n{number}", {}) for number in range(start, start + 100)])
    eventually(lambda: events.get_metrics().delivered_events == 1_100)
    types = events.get_metrics(by="type")
    assert len(types) == 1_001
    assert types["*"].total_events == types["*"].delivered_events == 100
    assert last[-1].type not in types
    assert events.get_metrics(by="subscription")["h"].succeeded == 1_100
    assert events.get_metrics().total_events == 1_100
    assert len(events.store.metrics.look().measurements.pairs) == 1_001


def test_how_late_delayed_events_go_is_measured(events: EventService, quick_work: Work) -> None:
    quick_work()
    for _ in range(5):
        events.schedule("client.seen", {}, delay="5ms")
    eventually(lambda: events.get_metrics().lateness.count == 5)
    assert events.get_metrics().lateness.p99 < timedelta(seconds=30)  # type: ignore[operator]


def test_a_delayed_event_waits_from_when_it_was_due(events: EventService, quick_work: Work) -> None:
    events.on("client.*", name="h")(_nothing)
    event = events.schedule("client.seen", {}, delay="1h")
    clock = events.broker.clock
    now_ms = clock.now_ms
    clock.now_ms = lambda: now_ms() + 3_600_000  # type: ignore[method-assign]
    quick_work()
    events.wait(event.id)
    latency = events.get_metrics(by="subscription")["h"].latency
    assert latency.count == 1
    assert latency.mean < timedelta(minutes=1)  # type: ignore[operator]


def test_expired_and_cancelled_events_are_counted_by_type(events: EventService) -> None:
    event = events.schedule("client.seen", {}, delay="1h")
    events.cancel(event.id)
    figures = events.get_metrics(by="type")["client.seen"]
    assert (figures.total_events, figures.cancelled_events, figures.pending_events) == (1, 1, 0)


def test_metrics_come_by_type_or_by_subscription_only(events: EventService) -> None:
    with pytest.raises(InvalidEventError, match="by='queue'"):
        events.get_metrics(by="queue")  # type: ignore[call-overload]


def _wanted(published: list[Any]) -> Counter[str]:
    """Return what the payloads say must have come of these events."""
    wanted: Counter[str] = Counter()
    for event in published:
        subscriptions = ["all", "users"] if event.type.startswith("client.") else ["all"]
        outcomes = [event.payload[name] for name in subscriptions]
        wanted[f"{event.type} failed" if "die" in outcomes else f"{event.type} delivered"] += 1
        for name, what in zip(subscriptions, outcomes, strict=True):
            wanted[f"{name} dead" if what == "die" else f"{name} succeeded"] += 1
            wanted[f"{name} retries"] += 2 if what == "retry" else 0
    return wanted


def _nothing(event: Event) -> None:
    """Succeed."""


def _dispatch(events: EventService) -> None:
    """Let a worker that reads the log alone dispatch what is there."""
    worker = Worker(events.broker, queues={"eventsys.log"}, worker_threads=1, worker_timeout=50)
    worker.start()
    eventually(lambda: all(one.waiting + one.running == 0 for one in events.machinery.queues()[:1]))
    worker.stop()


@pytest.mark.redis62
def test_what_was_counted_of_a_subscription_goes_over_to_others_when_its_number_goes(harness: EventHarness) -> None:
    events = harness.events

    def handle(event: Event) -> None:
        if event.payload["fails"]:
            raise Reject("no")

    old = events.subscribe("a.*", handle, name="old")
    for event_type, fails in (("a.b", False), ("a.c", True), ("a.c", False)):
        harness.publish(event_type, {"fails": fails})
    harness.run()
    events.unsubscribe("a.*", "old")
    before, by_type = events.get_metrics(), events.get_metrics(by="type")
    own = events.get_metrics(by="subscription")["old"]
    assert (own.deliveries, own.succeeded, own.dead, own.duration.count) == (3, 2, 1, 3)
    retention, now_ms = events.bus.housekeeping.retention, to_ms(harness.now)
    retention.trim_names(now_ms)
    assert retention.trim_names(now_ms + 3 * retention.limits.age_ms) == 1
    assert events.get_metrics() == before
    assert events.get_metrics(by="type") == by_type
    by_subscription = events.get_metrics(by="subscription")
    assert by_subscription.keys() == {"*"}
    assert by_subscription["*"] == own.model_copy(update={"subscription": "*", "rate": by_subscription["*"].rate})
    new = events.subscribe("a.*", handle, name="new")
    assert new.number > old.number
    assert events.get_metrics(by="subscription")["new"].deliveries == 0
    keys = events.broker.keys
    assert events.broker.link.call("SCARD", keys.measured_deliveries) == 2


def test_counters_of_many_types_are_folded_some_at_a_time(harness: EventHarness) -> None:
    events = harness.events
    events.subscribe("#", lambda event: None, name="old")
    for number in range(130):
        harness.publish(f"a.n{number}", {})
    harness.run()
    events.unsubscribe("#", "old")
    retention, now_ms = events.bus.housekeeping.retention, to_ms(harness.now)
    retention.trim_names(now_ms)
    later_ms = now_ms + 3 * retention.limits.age_ms
    assert [retention.trim_names(later_ms) for _ in range(3)] == [0, 1, 0]
    assert events.get_metrics(by="subscription")["*"].succeeded == 130
