"""Dead letters: listed, shown, sent again, purged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
import redis

from eventsys import (
    BackpressureError,
    DeadLetterFilter,
    Event,
    EventFilter,
    EventService,
    EventStatus,
    NotFoundError,
    RedriveRefusedError,
)
from eventsys.errors import InvalidCursorError
from eventsys.store.keys import LOG_QUEUE
from tests.support.fixtures import plain_and_sealed
from tests.support.services import Services
from tests.support.waiting import eventually

pytestmark = plain_and_sealed()

Work = Callable[..., Any]


class Provider:
    """What handlers call; it fails until it is mended."""

    def __init__(self) -> None:
        self.is_broken = True
        self.calls = 0

    def call(self, event: Event) -> None:
        self.calls += 1
        if self.is_broken:
            raise ConnectionError(f"down {self.calls}")


@pytest.fixture
def provider() -> Provider:
    return Provider()


def _dead(events: EventService, count: int, event_type: str = "a.b") -> list[str]:
    """Publish events that fail, and return their ids when they are dead."""
    published = events.publish_many([(event_type, {"n": n}) for n in range(count)])
    for event in published:
        assert events.wait(event.id).status is EventStatus.FAILED
    return [event.id for event in published]


def _assert_totals_agree(events: EventService) -> None:
    """Whatever was published, or opened again, is pending or ended; the same for deliveries."""
    link, keys = events.broker.link, events.broker.keys
    flat = link.call("HGETALL", keys.counts)
    counts = {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
    ended = sum(counts.get(f"{status}_events", 0) for status in ("delivered", "failed", "expired", "cancelled"))
    totals = counts.get("total_events", 0) + counts.get("reopened_events", 0)
    assert totals == ended + events.get_metrics().pending_events
    letters = sum(counts.get(f"deliveries_{how}", 0) for how in ("succeeded", "dead", "expired", "cancelled"))
    opened = counts.get("deliveries", 0) + counts.get("deliveries_redriven", 0)
    records = events.get_event_records(EventFilter(page_size=500)).items
    assert opened == letters + sum(1 for one in records for delivery in one.deliveries if delivery.status.is_open)


@pytest.mark.redis62
def test_a_letter_shows_what_happened(events: EventService, quick_work: Work, provider: Provider) -> None:
    events.on("a.b", name="h", max_retries=2, retry_delay="20ms")(provider.call)
    quick_work()
    [event_id] = _dead(events, 1)
    letter = events.dead_letters.show(f"{event_id}:h")
    assert (letter.reason, letter.subscription, letter.type) == ("failed", "h", "a.b")
    assert (letter.error, letter.attempts, letter.redrives) == ("ConnectionError: down 3", 3, 0)
    assert "raise ConnectionError" in letter.traceback
    assert letter.event is not None
    assert letter.event.payload == {"n": 0}
    assert letter.first_failed_at is not None
    assert letter.first_failed_at + timedelta(milliseconds=40) <= letter.died_at
    with pytest.raises(NotFoundError, match="'nothing'"):
        events.dead_letters.show("nothing")


@pytest.mark.redis62
def test_a_redrive_goes_on_with_the_old_delivery(events: EventService, quick_work: Work, provider: Provider) -> None:
    """Its attempts stay on record, its retries begin anew, and its event is pending until it ends again."""
    events.on("a.b", name="h", max_retries=1, retry_delay="10ms")(provider.call)
    events.on("a.b", name="fine")(lambda event: None)
    quick_work()
    [event_id] = _dead(events, 1)
    _assert_totals_agree(events)
    events.subscriptions.pause("h")
    events.dead_letters.redrive(f"{event_id}:h")
    assert events.get_event(event_id).status is EventStatus.PENDING
    assert [one.id for one in events.get_event_records(EventFilter(status="pending")).items] == [event_id]
    assert events.get_event_records(EventFilter(status="failed")).total == 0
    assert events.dead_letters.list().total == 0
    _assert_totals_agree(events)
    events.subscriptions.resume("h")
    assert events.wait(event_id).status is EventStatus.FAILED  # two more attempts
    letter = events.dead_letters.show(f"{event_id}:h")
    assert (letter.attempts, letter.redrives) == (4, 1)
    _assert_totals_agree(events)
    provider.is_broken = False
    events.dead_letters.redrive(letter.id)
    record = events.wait(event_id)
    assert record.status is EventStatus.DELIVERED
    [delivery] = [one for one in record.deliveries if one.subscription == "h"]
    assert [one.status for one in delivery.history] == ["failed"] * 4 + ["succeeded"]
    assert [one.number for one in delivery.history] == [1, 2, 3, 4, 5]
    assert events.get_event_records(EventFilter(status="failed")).total == 0
    _assert_totals_agree(events)


def test_a_letter_outlives_its_history(events: EventService, quick_work: Work, provider: Provider) -> None:
    """The record and the log entry are gone: the letter has what a redrive needs, and the event is on record again."""
    events.on("a.b", name="h", max_retries=0)(provider.call)
    quick_work()
    [event_id] = _dead(events, 1)
    link, keys = events.broker.link, events.broker.keys
    link.call("DEL", keys.record(event_id))
    link.call("XTRIM", keys.log(5), "MAXLEN", 0)
    provider.is_broken = False
    events.dead_letters.redrive(f"{event_id}:h")
    record = events.wait(event_id)
    assert (record.status, record.payload) == (EventStatus.DELIVERED, {"n": 0})
    assert events.publish("a.b", {"n": 0}, id=event_id, time=record.time).id == event_id
    assert provider.calls == 2


def test_a_letter_sent_again_ten_times_wants_to_be_forced(
    events: EventService, quick_work: Work, provider: Provider
) -> None:
    events.on("a.b", name="h", max_retries=0)(provider.call)
    quick_work()
    [event_id] = _dead(events, 1)
    letter_id = f"{event_id}:h"
    for redrives in range(10):
        assert events.dead_letters.redrive(letter_id).redrives == redrives
        events.wait(event_id)
    with pytest.raises(RedriveRefusedError, match=r"sent again 10 times before.*force=True"):
        events.dead_letters.redrive(letter_id)
    for dry in (
        events.dead_letters.redrive_all(dry_run=True),
        events.dead_letters.redrive_many([letter_id], dry_run=True),
    ):
        assert (dry.matched, dry.refused) == (1, {"capped": 1})
    assert events.dead_letters.redrive_all(dry_run=True, force=True).refused == {}
    assert events.dead_letters.redrive_all().refused == {"capped": 1}
    events.unsubscribe("a.b", "h")
    assert events.dead_letters.redrive_all(dry_run=True, force=True).refused == {"no_subscription": 1}
    assert events.dead_letters.redrive_many([letter_id], force=True).refused == {"no_subscription": 1}
    events.on("a.b", name="h", max_retries=0)(provider.call)
    events.bus.prepare()
    assert events.dead_letters.redrive(letter_id, force=True).redrives == 10


@pytest.mark.redis62
def test_junk_can_be_shown_and_purged_only(events: EventService, quick_work: Work) -> None:
    events.on("a.b", name="h")(lambda event: None)
    quick_work()
    link, keys = events.broker.link, events.broker.keys
    link.call("XADD", keys.lane("tests", 1), "1-1", "x", "no message")
    [letter] = eventually(lambda: events.dead_letters.list().items)
    assert (letter.reason, letter.subscription, letter.can_be_redriven) == ("undecodable", None, False)
    with pytest.raises(RedriveRefusedError, match=r"'undecodable'.*shown and purged"):
        events.dead_letters.redrive(letter.id)
    assert events.dead_letters.redrive_all().refused == {"junk": 1}
    assert events.dead_letters.purge(letter.id, "nothing") == 1
    assert events.dead_letters.list().total == 0


def test_a_letter_of_a_subscription_that_ended_is_kept(
    events: EventService, quick_work: Work, provider: Provider
) -> None:
    events.on("a.b", name="h", max_retries=0)(provider.call)
    quick_work()
    [event_id] = _dead(events, 1)
    events.subscriptions.delete("h")
    with pytest.raises(RedriveRefusedError, match="'h' has ended"):
        events.dead_letters.redrive(f"{event_id}:h")
    assert events.dead_letters.list(DeadLetterFilter(subscription="h")).total == 1


def test_pages_and_filters_find_the_letters(events: EventService, quick_work: Work, provider: Provider) -> None:
    events.on("#", name="one", max_retries=0)(provider.call)
    events.on("a.b", name="two", max_retries=0)(provider.call)
    clock = events.broker.clock
    clock.turn_to(clock.now_ms())  # all die in the same millisecond: the cursor must tell them apart all the same
    quick_work()
    _dead(events, 7)
    _dead(events, 3, "c.d")
    letters = events.dead_letters
    assert letters.list().total == letters.count() == 17
    assert letters.list(DeadLetterFilter(subscription="two")).total == 7
    assert letters.list(DeadLetterFilter(subscription="one", types=("c.*",))).total == 3
    assert letters.list(DeadLetterFilter(reason="failed", types=("a.b",))).total == 14
    assert letters.list(DeadLetterFilter(reason="timeout")).items == []
    assert letters.list(DeadLetterFilter(end_time=clock.now())).total == 0
    assert letters.list(DeadLetterFilter(start_time=clock.now())).total == 17
    for order in ("newest", "oldest"):
        seen, cursor = list[str](), None
        while True:
            page = letters.list(DeadLetterFilter(page_size=4, cursor=cursor, order=order))
            seen += [one.id for one in page.items]
            if (cursor := page.next_cursor) is None:
                break
        assert len(seen) == len(set(seen)) == 17
    with pytest.raises(InvalidCursorError, match="leads nowhere"):
        letters.list(DeadLetterFilter(cursor="here"))
    with pytest.raises(InvalidCursorError, match="leads nowhere"):
        letters.list(DeadLetterFilter(cursor=f"{'9' * 5_000}|x"))


def test_purging_drops_what_fits_after_it_was_counted(
    events: EventService, quick_work: Work, provider: Provider
) -> None:
    events.on("a.b", name="h", max_retries=0)(provider.call)
    quick_work()
    ids = _dead(events, 5)
    assert events.dead_letters.purge_all(DeadLetterFilter(types=("x.y",))) == 0
    assert events.dead_letters.purge_all(dry_run=True) == 5
    assert events.dead_letters.purge(f"{ids[0]}:h") == 1
    assert events.dead_letters.purge_all() == 4
    assert events.dead_letters.list().total == 0
    assert events.get_event(ids[0]).status is EventStatus.FAILED
    link, prefix = events.broker.link, events.broker.keys.prefix
    assert [key for key in link.call("KEYS", f"{prefix}:*") if b":dead" in key or b":letters" in key] == []


@pytest.mark.redis62
def test_letters_of_plain_actors_go_back_to_their_queue_with_retries_anew(
    events: EventService, quick_work: Work
) -> None:
    tries: list[int] = []

    @dramatiq.actor(broker=events.broker, queue_name="plain", max_retries=1, min_backoff=1, max_backoff=2)
    def flaky(number: int, *, word: str = "") -> None:
        tries.append(number)
        if len(tries) < 4:
            raise ValueError("no luck")

    quick_work()
    message = flaky.send(7, word="x")
    [letter] = eventually(lambda: events.dead_letters.list(DeadLetterFilter(actor="flaky")).items)
    assert (letter.id, letter.attempts, letter.actor, letter.event) == (message.message_id, 2, "flaky", None)
    assert '"args":[7]' in letter.content["m"]
    events.dead_letters.redrive(letter.id)  # fails once more, then its own retry succeeds
    eventually(lambda: len(tries) == 4)
    events.broker.join("plain", timeout=60_000)
    assert events.dead_letters.list().total == 0


def test_a_dry_run_counts_and_a_rate_spreads(events: EventService, quick_work: Work, provider: Provider) -> None:
    """Each waits in the delayed store for its turn: with the clock turned by hand, one goes each 100 ms, no two."""
    clock = events.broker.clock
    clock.turn_to(clock.now_ms())
    events.on("a.b", name="h", max_retries=0)(provider.call)
    quick_work()
    ids = _dead(events, 10)
    dry = events.dead_letters.redrive_all(rate="10/s", dry_run=True)
    assert (dry.matched, dry.redriven, dry.takes_s) == (10, 0, 1.0)
    assert events.dead_letters.list().total == 10
    provider.is_broken = False
    start = clock.now_ms()
    result = events.dead_letters.redrive_all(DeadLetterFilter(subscription="h"), rate="10/s")
    assert (result.matched, result.redriven, result.takes_s) == (10, 10, 0.9)
    for turn in range(10):
        clock.turn_to(start + 100 * turn)
        eventually(lambda turn=turn: provider.calls == 11 + turn)
    for event_id in ids:
        assert events.wait(event_id).status is EventStatus.DELIVERED
    _assert_totals_agree(events)


def test_what_dies_again_meanwhile_is_not_sent_twice(events: EventService, work: Work, provider: Provider) -> None:
    """The workers are quicker than the redrive; each letter goes once, though it comes back before the end."""
    events.on("a.b", name="h", max_retries=0)(provider.call)
    work()
    ids = _dead(events, 300)
    result = events.dead_letters.redrive_all()
    assert (result.matched, result.redriven) == (300, 300)
    for event_id in ids:
        assert events.wait(event_id).status is EventStatus.FAILED
    assert provider.calls == 600
    assert {one.redrives for one in events.dead_letters.list(DeadLetterFilter(page_size=500)).items} == {1}
    _assert_totals_agree(events)


def test_a_redrive_sent_twice_is_one(services: Services, events: EventService, provider: Provider) -> None:
    events.on("a.b", name="h", max_retries=0)(provider.call)
    worker = services.work(events)
    [event_id] = _dead(events, 1)
    worker.stop()
    first = events.dead_letters.redrive_many([f"{event_id}:h"] * 2)
    assert (first.redriven, first.refused) == (1, {"gone": 1})
    link, keys = events.broker.link, events.broker.keys
    assert link.call("XLEN", keys.lane("tests", 5)) == 1
    assert link.call("HGET", keys.record(event_id), "open") == b"1"


def test_a_full_redis_refuses_a_redrive_and_keeps_the_letter(
    fresh_redis: Any, services: Services, provider: Provider
) -> None:
    events = services.make(redis_url=fresh_redis().url)
    events.on("a.b", name="h", max_retries=0)(provider.call)
    services.work(events)
    [event_id] = _dead(events, 1)
    client = redis.Redis.from_url(events.settings.redis_url.get_secret_value())  # type: ignore[union-attr]
    client.config_set("maxmemory", 1)
    with pytest.raises(BackpressureError):
        events.dead_letters.redrive(f"{event_id}:h")
    assert events.dead_letters.show(f"{event_id}:h").redrives == 0
    assert events.get_event(event_id).status is EventStatus.FAILED
    assert events.dead_letters.purge(f"{event_id}:h") == 1  # which makes room
    client.config_set("maxmemory", 0)
    client.close()


def test_letters_survive_a_restart(fresh_redis: Any, services: Services, provider: Provider) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url)
    events.on("a.b", name="h", max_retries=0)(provider.call)
    worker = services.work(events, queues={"tests", LOG_QUEUE})
    [event_id] = _dead(events, 1)
    worker.stop()
    eventually(lambda: events.broker.link.call("INFO", "persistence"))
    server.stop()
    server.start()
    assert events.dead_letters.show(f"{event_id}:h").reason == "failed"
