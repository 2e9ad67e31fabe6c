"""Whatever stands in the way of one entry, the others go at their time; two leaders at once let each go once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from eventsys import Event, EventFilter, EventStatus, Reject, Retry
from eventsys.clock import to_ms
from eventsys.scheduling.poller import Poller
from eventsys.testing import EventHarness

_MINUTE_MS = 60_000


@pytest.fixture
def make_poller(events):
    """Make pollers whose steps a test takes."""
    made: list[Poller] = []

    def make(name: str, **options) -> Poller:
        poller = Poller(events.broker.link, events.broker.keys, events.broker.clock, process=name, **options)
        made.append(poller)
        return poller

    yield make
    for poller in made:
        poller.stop()


@pytest.mark.redis62
def test_an_entry_that_redis_refuses_holds_up_no_other_and_is_tried_again(events, make_poller) -> None:
    link, keys = events.broker.link, events.broker.keys
    refused = events.schedule("step.refused", {}, delay="1m")
    after = events.schedule("step.taken", {}, delay="61s")
    link.call("SET", keys.type_index("step.refused"), "no stream, so nothing can be added")
    poller = make_poller("one", max_retries=2, retry_interval_ms=_MINUTE_MS)
    due_ms = to_ms(after.delay_until)
    poller.let_go(due_ms)
    assert events.get_event(after.id).delay_until == after.delay_until
    link.call("DEL", keys.type_index("step.refused"))
    assert poller.let_go(due_ms + _MINUTE_MS - 1).moved == 0
    assert poller.let_go(due_ms + _MINUTE_MS).moved == 1
    assert events.get_event(refused.id).delay_until == refused.delay_until  # when it was due, not when it went
    assert link.call("EXISTS", f"{keys.prefix}:delayed:failed") == 0


def test_an_entry_that_is_always_refused_becomes_a_dead_letter(events, make_poller) -> None:
    link, keys = events.broker.link, events.broker.keys
    refused = events.schedule("step.refused", {"n": 1}, delay="1m")
    link.call("SET", keys.type_index("step.refused"), "no stream, so nothing can be added")
    poller = make_poller("one", max_retries=2, retry_interval_ms=_MINUTE_MS)
    due_ms = to_ms(refused.delay_until)
    for number in range(3):
        poller.let_go(due_ms + number * _MINUTE_MS)
    letter = dict(zip(*[iter(link.call("HGETALL", keys.letter(refused.id)))] * 2, strict=True))
    assert letter[b"reason"] == b"unfired"
    assert b"WRONGTYPE" in letter[b"error"]
    assert b'"n":1' in letter[b"e"]
    assert events.delayed.get_pending_count() == 0


def test_an_entry_that_nobody_can_read_holds_up_no_other(events, make_poller) -> None:
    link, keys = events.broker.link, events.broker.keys
    broken = events.schedule("step.taken", {}, delay="1m")
    [member] = link.call("ZRANGE", keys.delayed_due, 0, 0)
    link.call("HSET", keys.delayed_bodies, member, b"\xc1 no msgpack")
    after = events.schedule("step.taken", {}, delay="61s")
    poller = make_poller("one", max_retries=0)
    poller.let_go(to_ms(after.delay_until))
    assert [one.id for one in events.get_event_records(EventFilter()).items] == [after.id]
    [letter] = link.call("ZRANGE", keys.dead, 0, -1)
    assert broken.id not in letter.decode()
    assert member.hex().encode() in letter


def test_two_leaders_at_once_let_each_entry_go_once(events, make_poller) -> None:
    made = events.delayed.schedule_many(
        {"event_type": "step.taken", "delay": timedelta(minutes=1 + n % 90)} for n in range(1000)
    )
    at_ms = to_ms(made[0].delay_until + timedelta(hours=2))
    gate, moved = threading.Barrier(3), []

    def let_go(poller: Poller) -> None:
        poller.let_go(0)  # connects
        gate.wait()
        moved.append(poller.let_go(at_ms).moved)

    threads = [threading.Thread(target=let_go, args=(make_poller(f"leader-{n}", batch_size=5),)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(moved) == 1000
    assert len([one for one in moved if one]) > 1  # else nothing was shown
    assert events.get_metrics().total_events == 1000
    assert events.delayed.get_pending_count() == 0


@pytest.mark.redis62
@pytest.mark.parametrize("kept", ["type:step.refused", "chain:c"])
def test_an_event_that_redis_refused_half_way_is_stored_once_when_it_is_tried_again(
    events, make_poller, kept: str
) -> None:
    link, keys = events.broker.link, events.broker.keys
    refused = events.schedule("step.refused", {}, delay="1m", correlation_id="c", idempotency_key="only once")
    link.call("HSET", f"{keys.prefix}:{kept}", "neither", "a stream nor a string")
    poller = make_poller("one", max_retries=5, retry_interval_ms=_MINUTE_MS)
    due_ms = to_ms(refused.delay_until)
    poller.let_go(due_ms)
    poller.let_go(due_ms + _MINUTE_MS)
    link.call("DEL", f"{keys.prefix}:{kept}")
    poller.let_go(due_ms + 2 * _MINUTE_MS)
    assert link.call("XLEN", keys.log(5)) == link.call("XLEN", keys.type_index("step.refused")) == 1
    assert link.call("STRLEN", keys.chain("c")) == 11
    assert [one.id for one in events.get_event_records(EventFilter()).items] == [refused.id]
    assert events.get_metrics().total_events == 1


def test_a_retry_that_could_not_be_moved_ends_its_event_when_it_is_redriven(harness: EventHarness) -> None:
    events, calls = harness.events, []
    link, keys = events.broker.link, events.broker.keys

    def handle(event: Event) -> None:
        calls.append(event.id)
        if len(calls) == 1:
            raise Retry("once", delay="1h")

    queue = events.subscribe("step.taken", handle, name="one").queue
    event = events.publish("step.taken", {})
    harness.run()
    poller = Poller(link, keys, events.broker.clock, process="by-hand", max_retries=0)
    lane = keys.lane(queue, 5)
    link.call("DEL", lane)
    link.call("SET", lane, "no stream, so nothing can be added")
    poller.let_go(to_ms(harness.now) + 3_600_001)
    link.call("DEL", lane)
    [letter] = harness.dead_letters()
    assert letter.reason == "unfired"
    events.dead_letters.redrive(letter.id)
    assert harness.finish(event).status is EventStatus.DELIVERED
    assert len(calls) == 2
    assert events.get_metrics().pending_events == 0


def test_a_redrive_at_a_rate_that_could_not_be_moved_ends_its_event_when_it_is_redriven(harness: EventHarness) -> None:
    events, calls = harness.events, []
    link, keys = events.broker.link, events.broker.keys

    def handle(event: Event) -> None:
        calls.append(event.id)
        if len(calls) == 1:
            raise Reject("once")

    queue = events.subscribe("step.taken", handle, name="one").queue
    event = events.publish("step.taken", {})
    assert harness.finish(event).status is EventStatus.FAILED
    events.dead_letters.redrive_all(rate="1/h")
    poller = Poller(link, keys, events.broker.clock, process="by-hand", max_retries=0)
    lane = keys.lane(queue, 5)
    link.call("DEL", lane)
    link.call("SET", lane, "no stream, so nothing can be added")
    poller.let_go(to_ms(harness.now) + 1)
    link.call("DEL", lane)
    [letter] = harness.dead_letters()
    assert letter.reason == "unfired"
    events.dead_letters.redrive(letter.id)
    assert link.call("HGET", keys.record(event.id), "open") == b"1"
    assert harness.finish(event).status is EventStatus.DELIVERED
    assert len(calls) == 2
    assert events.get_metrics().pending_events == 0


def test_what_could_not_be_moved_is_listed_with_what_nobody_owns(events, make_poller) -> None:
    link, keys = events.broker.link, events.broker.keys
    refused = events.schedule("step.refused", {}, delay="1m")
    link.call("SET", keys.type_index("step.refused"), "no stream, so nothing can be added")
    make_poller("one", max_retries=0).let_go(to_ms(refused.delay_until))
    assert link.call("ZRANGE", f"{keys.prefix}:letters:junk", 0, -1) == [refused.id.encode()]


@pytest.mark.parametrize("leaves", ["cancelled", "run now", "replaced"])
def test_an_entry_that_leaves_is_forgotten_where_redis_had_refused_to_move_it(events, make_poller, leaves) -> None:
    link, keys = events.broker.link, events.broker.keys
    refused = events.schedule("step.refused", {}, delay="1m", key="k")
    link.call("SET", keys.type_index("step.refused"), "no stream, so nothing can be added")
    make_poller("one").let_go(to_ms(refused.delay_until))
    assert link.call("HLEN", f"{keys.prefix}:delayed:failed") == 1
    link.call("DEL", keys.type_index("step.refused"))
    if leaves == "cancelled":
        events.cancel(refused.id)
    elif leaves == "run now":
        events.run_now(refused.id)
    else:
        events.schedule("step.refused", {}, delay="1h", key="k")
    assert link.call("EXISTS", f"{keys.prefix}:delayed:failed") == 0
