"""What a hand, or a Redis that lost data, left without a message or an end is repaired, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from eventsys import Event, EventService, EventStatus, Priority, Retry
from eventsys.clock import to_ms
from eventsys.model.status import DeliveryStatus
from eventsys.scheduling.poller import Poller
from eventsys.scheduling.reconciling import OLD_MS
from eventsys.store.reconciliation import LOOK_THROUGH, Reconciliation
from eventsys.testing import EventHarness
from tests.support.services import Services
from tests.support.waiting import eventually


class Bench:
    """A harness with a subscription `one`, and hands that break what it holds."""

    def __init__(self, harness: EventHarness) -> None:
        self.harness = harness
        self.events = harness.events
        self.link, self.keys = self.events.broker.link, self.events.broker.keys
        self.calls: list[tuple[str, int]] = []
        self.fails = False
        self.events.subscribe("a.*", self._handle, name="one")

    def _handle(self, event: Event) -> None:
        self.calls.append((event.id, event.payload.get("n", 0)))
        if self.fails:
            raise Retry("later", delay="30m")

    def dispatch_only(self, **fields: Any) -> Event:
        """Publish an event whose delivery is on the queue and stays there."""
        self.events.subscriptions.pause("one")
        event = self.events.publish("a.b", {"n": 1}, **fields)
        self.harness.run()
        return event

    def look(self, now_ms: int | None = None, **options: Any) -> list[str]:
        """Reconcile everything, and return what was done."""
        broker = self.events.broker
        made = Reconciliation(self.link, self.keys, retention_ms=broker.work.retention_ms)
        now_ms = to_ms(self.harness.now) if now_ms is None else now_ms
        done, is_over = [], False
        while not is_over:
            repairs, is_over = made.step(now_ms, now_ms - OLD_MS, **options)
            done += [one.done for one in repairs]
        return done

    def pass_time(self, **parts: float) -> None:
        """Let the clock show a later time without anything happening."""
        clock = self.harness._clock
        clock.turn_to(clock.now_ms() + timedelta(**parts) // timedelta(milliseconds=1))

    def field(self, event: Event, name: str = "1") -> str:
        return str(self.link.call("HGET", self.keys.record(event.id), name), "utf-8")

    def room(self) -> str:
        return f"{self.keys.prefix}:waiting:one:5"


@pytest.fixture
def bench(harness: EventHarness) -> Bench:
    return Bench(harness)


def _is_repaired_once(bench: Bench, done: str) -> None:
    bench.pass_time(minutes=6)
    assert bench.look() == [done]
    assert bench.look() == []
    assert int(bench.link.call("HGET", bench.keys.counts, "reconciled")) == 1


@pytest.mark.redis62
def test_a_delivery_whose_message_is_gone_is_put_back_and_handled_once(bench: Bench) -> None:
    event = bench.dispatch_only()
    [entry] = [one[0] for one in bench.link.call("XRANGE", bench.room(), "-", "+")]
    bench.link.call("XDEL", bench.room(), entry)
    _is_repaired_once(bench, "put_back")
    bench.events.subscriptions.resume("one")
    assert bench.harness.finish(event).status is EventStatus.DELIVERED
    assert bench.calls == [(event.id, 1)]
    assert bench.events.get_metrics().pending_events == 0


@pytest.mark.redis62
def test_a_delivery_that_is_gone_from_its_queue_is_put_back_there(events: EventService, services: Services) -> None:
    for name in ("one", "two"):
        events.on("order.#", name=name, queue="unread")(lambda event: None)
    services.work(events, queues={"eventsys.log"})
    event = events.publish("order.placed", {}, expire_after="1d")
    eventually(lambda: len(events.get_event(event.id).deliveries) == 2)
    broker, lane = events.broker, events.broker.keys.lane("unread", 5)
    first, second = broker.link.call("XRANGE", lane, "-", "+")
    broker.link.call("XDEL", lane, first[0])
    made = Reconciliation(broker.link, broker.keys, retention_ms=broker.work.retention_ms)
    now_ms = broker.clock.now_ms()
    assert made.step(now_ms, now_ms + 1) == ([(event.id, "put_back")], True)
    assert made.step(now_ms, now_ms + 1) == ([], True)
    kept, again = broker.link.call("XRANGE", lane, "-", "+")
    assert (kept, again[1]) == (second, first[1])


@pytest.mark.redis62
def test_a_retry_that_is_gone_is_tried_at_once_and_its_attempts_count(bench: Bench) -> None:
    bench.fails = True
    event = bench.events.publish("a.b", {})
    bench.harness.run()
    assert bench.field(event).startswith("f")
    bench.link.call("DEL", bench.keys.delayed_due, bench.keys.delayed_bodies)
    bench.fails = False
    _is_repaired_once(bench, "put_back")
    record = bench.harness.finish(event)
    assert record.status is EventStatus.DELIVERED
    [delivery] = record.deliveries
    assert delivery.attempts == 2
    assert len(bench.calls) == 2


@pytest.mark.redis62
def test_a_delivery_that_could_not_be_read_ends_when_its_letter_is_purged(bench: Bench) -> None:
    event = bench.dispatch_only()
    [(entry, fields)] = bench.link.call("XRANGE", bench.room(), "-", "+")
    bench.link.call("XDEL", bench.room(), entry)
    bench.link.call("XADD", bench.room(), "*", *fields, "o", "no JSON")
    bench.events.subscriptions.resume("one")
    bench.harness.run()
    [letter] = bench.harness.dead_letters()
    assert (letter.reason, bench.events.get_event(event.id).status) == ("undecodable", EventStatus.PENDING)
    _is_not_handled_once_purged(bench, event, letter.id)


@pytest.mark.redis62
def test_a_retry_that_could_not_be_moved_ends_when_its_letter_is_purged(bench: Bench) -> None:
    bench.fails = True
    event = bench.events.publish("a.b", {})
    bench.harness.run()
    lane = bench.keys.lane(bench.events.subscriptions.get("one").subscription.queue, 5)
    bench.link.call("DEL", lane)
    bench.link.call("SET", lane, "no stream, so nothing can be added")
    poller = Poller(bench.link, bench.keys, bench.events.broker.clock, process="by-hand", max_retries=0)
    poller.let_go(to_ms(bench.harness.now) + 1_800_001)
    bench.link.call("DEL", lane)
    bench.calls.clear()
    [letter] = bench.harness.dead_letters()
    assert letter.reason == "unfired"
    _is_not_handled_once_purged(bench, event, letter.id)


def _is_not_handled_once_purged(bench: Bench, event: Event, letter_id: str) -> None:
    bench.pass_time(minutes=6)
    assert bench.look() == []
    assert bench.events.dead_letters.purge(letter_id) == 1
    assert bench.look() == []
    bench.harness.run()
    assert (bench.calls, bench.harness.dead_letters()) == ([], [])
    record = bench.events.get_event(event.id)
    assert (record.status, [one.status for one in record.deliveries]) == (EventStatus.FAILED, [DeliveryStatus.DEAD])
    assert bench.events.get_metrics().pending_events == 0


def _bury(bench: Bench, event: Event, **fields: str) -> None:
    envelope = bench.link.call("XRANGE", bench.keys.log(5), "-", "+")[0][1][1]
    facts = {"reason": "bad_signature", "owner": "junk", "died_ms": "1", "s": "one", "e": envelope, **fields}
    bench.link.call("HSET", f"{bench.keys.prefix}:dead:letter", *(part for fact in facts.items() for part in fact))
    bench.link.call("ZADD", bench.keys.dead, 1, "letter")
    bench.link.call("ZADD", f"{bench.keys.prefix}:letters:junk", 1, "letter")


@pytest.mark.redis62
def test_a_replay_that_was_refused_ends_when_its_letter_is_purged(bench: Bench) -> None:
    event = bench.events.publish("a.b", {})
    bench.harness.run()
    bench.link.call("HSET", bench.keys.record(event.id), "1#1", "", "replays", 1)
    _bury(bench, event, o='{"replay": 1}')
    assert bench.events.dead_letters.purge("letter") == 1
    assert bench.field(event, "1#1").startswith("d")
    assert bench.field(event, "replays") == "0"


@pytest.mark.redis62
@pytest.mark.parametrize("waits", ["in its room", "for its next attempt"])
def test_a_delivery_that_waits_goes_on_when_the_letter_of_a_forged_copy_is_purged(bench: Bench, waits: str) -> None:
    if waits == "in its room":
        event = bench.dispatch_only()
    else:
        bench.fails = True
        event = bench.events.publish("a.b", {})
        bench.harness.run()
        bench.fails = False
    _bury(bench, event)
    assert bench.events.dead_letters.purge("letter") == 1
    assert bench.events.get_event(event.id).status is EventStatus.PENDING
    if waits == "in its room":
        bench.events.subscriptions.resume("one")
    bench.harness.advance(hours=1)
    assert bench.events.get_event(event.id).status is EventStatus.DELIVERED


def test_a_delivery_of_a_subscription_that_has_ended_is_cancelled(bench: Bench) -> None:
    event = bench.dispatch_only()
    bench.link.call("DEL", bench.room())
    bench.events.unsubscribe("a.*", "one")
    _is_repaired_once(bench, "finished")
    assert [one.status for one in bench.events.get_event(event.id).deliveries] == [DeliveryStatus.CANCELLED]


def test_a_delivery_without_a_message_or_an_envelope_is_dead(bench: Bench) -> None:
    event = bench.dispatch_only()
    bench.link.call("DEL", bench.room(), bench.keys.log(5))
    _is_repaired_once(bench, "finished")
    assert bench.events.store.status_of(event.id) is EventStatus.FAILED
    assert "lost" in bench.field(event)


@pytest.mark.parametrize("count", ["0", "2", None])
def test_open_deliveries_are_counted_anew_where_their_count_does_not_fit(bench: Bench, count: str | None) -> None:
    event = bench.dispatch_only()
    record = bench.keys.record(event.id)
    bench.link.call(*(("HDEL", record, "open") if count is None else ("HSET", record, "open", count)))
    _is_repaired_once(bench, "counted")
    assert bench.field(event, "open") == "1"
    bench.events.subscriptions.resume("one")
    assert bench.harness.finish(event).status is EventStatus.DELIVERED


@pytest.mark.redis62
@pytest.mark.parametrize("was_finished", [True, False])
def test_an_event_whose_deliveries_have_all_ended_is_finished(bench: Bench, was_finished: bool) -> None:
    event = bench.events.publish("a.b", {})
    bench.harness.run()
    record = bench.keys.record(event.id)
    bench.link.call("ZADD", bench.keys.pending, to_ms(event.time), event.id)
    if not was_finished:
        bench.link.call("HSET", record, "open", "1")
        bench.link.call("PERSIST", record)
        bench.link.call("HINCRBY", bench.keys.counts, "delivered_events", "-1")
    _is_repaired_once(bench, "finished")
    assert bench.events.get_event(event.id).status is EventStatus.DELIVERED
    metrics = bench.events.get_metrics()
    assert (metrics.pending_events, metrics.delivered_events) == (0, 1)
    assert int(bench.link.call("PTTL", record)) > 0


@pytest.mark.redis62
@pytest.mark.parametrize("event_type", ["a.b", "system.told"])
def test_an_event_that_its_dispatchers_have_lost_is_dispatched(bench: Bench, event_type: str) -> None:
    bench.events.subscribe("system.told", lambda event: bench.calls.append((event.id, 0)), name="system")
    bench.events.publish("a.before", {})
    bench.harness.run()
    event = _stored(bench, event_type)
    stream = bench.keys.log(5)
    bench.link.call("XGROUP", "SETID", stream, "workers", "$")
    if event_type.startswith("system"):
        [entry] = [one[0] for one in bench.link.call("XRANGE", stream, "-", "+") if event.id.encode() in one[1][1]]
        bench.link.call("XDEL", stream, entry)
    _is_repaired_once(bench, "dispatched")
    bench.harness.advance(minutes=1)
    assert bench.events.get_event(event.id).status is EventStatus.DELIVERED
    assert [one for one, _ in bench.calls].count(event.id) == 1


def _stored(bench: Bench, event_type: str) -> Event:
    draft = bench.events.bus.drafter.draft(event_type, {}, priority=Priority.NORMAL)
    bench.events.store.carry_out(to_ms(bench.harness.now), [draft.step])
    return draft.event


def test_an_event_that_is_nowhere_any_more_has_failed(bench: Bench) -> None:
    event = bench.events.publish("a.b", {})
    bench.link.call("DEL", bench.keys.log(5))
    _is_repaired_once(bench, "finished")
    assert bench.events.store.status_of(event.id) is EventStatus.FAILED
    bench.link.call("ZADD", bench.keys.pending, to_ms(event.time), "unknown")
    assert bench.look() == ["finished"]
    assert bench.events.get_metrics().pending_events == 0


def test_what_takes_too_long_to_look_through_is_left_alone(bench: Bench) -> None:
    events = [bench.dispatch_only() for _ in range(300)]
    [entry] = bench.link.call("XRANGE", bench.room(), "-", "+", "COUNT", 1)
    bench.link.call("XDEL", bench.room(), entry[0])
    bench.pass_time(minutes=6)
    assert bench.look(look_through=150) == []
    assert bench.look(look_through=LOOK_THROUGH) == ["put_back"]
    assert len(events) == int(bench.link.call("XLEN", bench.room()))


def test_two_at_once_and_young_events_change_nothing_twice_or_too_soon(bench: Bench) -> None:
    bench.dispatch_only()
    bench.link.call("DEL", bench.room())
    assert bench.look() == []
    bench.pass_time(minutes=6)
    now_ms = to_ms(bench.harness.now)
    assert bench.look(now_ms) + bench.look(now_ms) == ["put_back"]
    assert int(bench.link.call("XLEN", bench.room())) == 1


def test_the_sweep_repairs_and_says_so(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    event = bench.dispatch_only()
    bench.link.call("DEL", bench.room())
    bench.events.subscriptions.resume("one")
    bench.harness.advance(minutes=7)
    assert bench.calls == [(event.id, 1)]
    [trouble] = [one for one in bench.events.bus.system.troubles() if one.key == "reconcile"]
    assert trouble.details == {"put_back": 1}
    assert event.id in trouble.message
    assert [one.__dict__["event_id"] for one in caplog.records if getattr(one, "action", "") == "reconciled"] == [
        event.id
    ]
