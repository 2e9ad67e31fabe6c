"""publish_async: the buffer, its receipts, and what becomes of it when Redis or the process goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from eventsys import (
    BufferFullError,
    Event,
    EventConflictError,
    EventService,
    NotCommittedError,
    PublishUnknownError,
    RedisUnavailableError,
    WaitTimeoutError,
)
from eventsys.bus.buffer import waits_s
from tests.support.proxy import CuttingProxy
from tests.support.services import Services, commands_of, used_since

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.mark.redis62
def test_buffered_events_are_stored_in_order_and_in_batches(events: EventService, redis_client: Any) -> None:
    events.publish("x.y", {})
    before = commands_of(redis_client)
    with events.bus.publisher.buffer._changed:  # the flusher cannot begin before all of them wait
        receipts = [events.publish_async("a.b", {"n": n}) for n in range(500)]
    stored = [receipt.result(timeout=60) for receipt in receipts]
    assert [event.payload["n"] for event in stored] == list(range(500))
    assert used_since(redis_client, before)["evalsha"] < 100
    link, keys = events.broker.link, events.broker.keys
    log = [json.loads(fields[1]) for _, fields in link.call("XRANGE", keys.log(5), "-", "+")]
    assert [entry["payload"]["n"] for entry in log[1:]] == list(range(500))


def test_a_receipt_waits_no_longer_than_asked(services: Services) -> None:
    events = services.make(redis_url=NOWHERE, bus={"flush_timeout": "10ms"})
    with pytest.raises(WaitTimeoutError):
        events.publish_async("a.b", {}).result(timeout="20ms")


def test_a_conflict_fails_its_receipt_and_no_other(services: Services) -> None:
    failed: list[tuple[str, Exception]] = []
    events = services.make(on_publish_error=lambda event, error: failed.append((event.id, error)))
    events.publish("a.b", {"n": 0}, id="taken")
    receipts = [events.publish_async("a.b", {"n": n}, id=name) for n, name in enumerate(["x", "y", "taken", "z"], 1)]
    assert [receipts[at].result(timeout=60).id for at in (0, 1, 3)] == ["x", "y", "z"]
    with pytest.raises(EventConflictError):
        receipts[2].result(timeout=60)
    assert [event_id for event_id, _ in failed] == ["taken"]
    assert events.bus.publisher.buffer.failed == 1


def test_a_full_buffer_blocks_and_then_says_so(services: Services) -> None:
    bus = {"buffer_size": 3, "publish_timeout": "50ms", "flush_timeout": "10ms"}
    events = services.make(redis_url=NOWHERE, bus=bus)
    for _ in range(3):
        events.publish_async("a.b", {})
    with pytest.raises(BufferFullError, match="3 events have been waiting"):
        events.publish_async("a.b", {})


def test_events_are_kept_while_redis_is_away_and_sent_once_when_it_is_back(
    fresh_redis: Callable[[], Any], services: Services
) -> None:
    server = fresh_redis()
    events = services.make(redis_url=server.url)
    events.publish("x.y", {})
    server.kill()
    receipts = [events.publish_async("a.b", {"n": n}) for n in range(120)]
    server.start()
    assert [receipt.result(timeout=60).payload["n"] for receipt in receipts] == list(range(120))
    link, keys = events.broker.link, events.broker.keys
    assert link.call("XLEN", keys.type_index("a.b")) == 120


def test_what_could_not_be_sent_is_written_down(services: Services, tmp_path: Path) -> None:
    path, failed = tmp_path / "unsent.jsonl", []
    events = services.make(
        redis_url=NOWHERE,
        bus={"flush_timeout": "50ms", "unsent_path": path, "batch_size": 2},
        on_publish_error=lambda event, error: failed.append(event.id),
    )
    receipts = [events.publish_async("a.b", {"n": n}) for n in range(5)]
    unsent = events.bus.publisher.close()
    written = [json.loads(json.loads(line)["envelope"])["payload"]["n"] for line in path.read_text().splitlines()]
    assert written == list(range(5))
    assert [event.id for event in unsent] == [receipt.event.id for receipt in receipts] == failed
    assert all(receipt.is_done for receipt in receipts)


def test_what_a_refused_batch_has_stored_or_failed_is_not_reported_as_unsent(
    fresh_redis: Callable[[], Any], services: Services, tmp_path: Path
) -> None:
    server, path = fresh_redis(), tmp_path / "unsent.jsonl"
    failed: SimpleQueue[str] = SimpleQueue()
    events = services.make(
        redis_url=server.url,
        bus={"flush_timeout": "50ms", "unsent_path": path},
        on_publish_error=lambda event, error: failed.put(event.id),
    )
    events.publish("a.b", {"n": 0}, id="taken")
    buffer = events.bus.publisher.buffer
    publish = buffer._publish

    def refuse_together(drafts: list[Any], may_be_stored: bool) -> Any:
        if len(drafts) > 1:
            raise ValueError("one of them is at fault")
        outcomes = publish(drafts, may_be_stored)
        if drafts[0].event.id == "taken":
            server.kill()
        return outcomes

    buffer._publish = refuse_together
    with buffer._changed:  # the flusher cannot begin before all of them wait
        first, *_ = [events.publish_async("a.b", {"n": 1}, id=name) for name in ("x", "taken", "y", "z")]
    assert failed.get(timeout=60) == "taken"
    assert [event.id for event in buffer.close()] == ["y", "z"]
    assert [json.loads(json.loads(line)["envelope"])["id"] for line in path.read_text().splitlines()] == ["y", "z"]
    assert first.result(timeout=60).id == "x"
    assert [failed.get(timeout=60) for _ in range(2)] == ["y", "z"]
    assert failed.empty()
    assert buffer.failed == 3


@pytest.mark.parametrize("fate", ["refused", "lost", "under way"])
def test_what_may_be_stored_when_the_process_ends_is_not_called_unsent(
    services: Services, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    """Whoever is told that an event was not stored publishes it again, and under a new id it would be two."""
    monkeypatch.setattr("eventsys.bus.buffer._FIRST_WAIT_S", 60.0)  # it is tried once
    events = services.make(redis_url=NOWHERE, bus={"flush_timeout": "1ms", "flush_interval": "60s"})
    tried, closed = threading.Event(), threading.Event()

    def try_once(drafts: list[Any], may_be_stored: bool) -> Any:
        if fate == "under way":
            tried.set()
            closed.wait(60)
        error = RedisUnavailableError("Redis is away")
        error.may_have_run = fate == "lost"
        raise error

    buffer = events.bus.publisher.buffer
    buffer._publish = try_once
    monkeypatch.setattr(buffer._outage, "goes_on", lambda *_: tried.set())
    receipt = events.publish_async("a.b", {})
    assert tried.wait(60)
    buffer.close()
    with pytest.raises(RedisUnavailableError) as told:
        receipt.result(timeout=60)
    closed.set()
    assert isinstance(told.value, PublishUnknownError) is (fate != "refused")


def test_what_cannot_be_written_down_either_is_told_to_who_published_it(
    services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failed: list[str] = []
    events = services.make(
        redis_url=NOWHERE,
        bus={"flush_timeout": "50ms", "unsent_path": tmp_path / "missing" / "unsent.jsonl"},
        on_publish_error=lambda event, error: failed.append(event.id),
    )
    receipts = [events.publish_async("a.b", {"n": n}) for n in range(3)]
    assert len(events.bus.publisher.close()) == 3
    assert failed == [receipt.event.id for receipt in receipts]
    assert all(receipt.is_done for receipt in receipts)
    assert "could not be written" in caplog.text


def test_where_no_thread_can_be_had_the_event_is_refused_and_the_next_one_sent(
    events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_threads(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        events.publish_async("a.b", {"n": 1})
    monkeypatch.setattr(threading.Thread, "start", start)
    assert events.publish_async("a.b", {"n": 2}).result(timeout=60).payload == {"n": 2}
    assert events.get_metrics().total_events == 1


class _Gaps(threading.Condition):
    """A condition that calls something as soon as it is let go."""

    then: Callable[[], object] | None = None

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        then, self.then = self.then, None
        if then is not None:
            then()


def test_what_comes_while_the_buffer_closes_is_sent_or_refused(services: Services) -> None:
    events = services.make()
    events.publish_async("a.b").result(timeout=60)
    buffer = events.bus.publisher.buffer
    came: list[Any] = []

    def put_one_more() -> None:
        try:
            came.append(buffer.put(events.bus.drafter.draft("a.b")).result(timeout=60))
        except BufferFullError as error:
            came.append(error)

    gaps = _Gaps()
    buffer._changed, gaps.then = gaps, put_one_more
    buffer.close()
    assert [type(one) for one in came] in ([Event], [BufferFullError])


def test_inside_an_attempt_a_receipt_waits_for_the_commit(events: EventService, quick_work: Any) -> None:
    receipts: list[Any] = []
    early: list[Exception] = []

    @events.on("a.b", max_retries=0)
    def handler(event: Event) -> None:
        receipts.append(events.publish_async("c.d", {"fails": event.payload["fails"]}))
        try:
            receipts[-1].result(timeout=1)
        except NotCommittedError as error:
            early.append(error)
        if event.payload["fails"]:
            raise ValueError

    quick_work()
    events.wait(events.publish("a.b", {"fails": False}).id)
    assert receipts[0].result(timeout=60).type == "c.d"
    events.wait(events.publish("a.b", {"fails": True}).id)
    with pytest.raises(NotCommittedError, match="was dropped"):
        receipts[1].result(timeout=60)
    assert len(early) == 2


def test_leaving_the_process_sends_what_is_buffered(redis_url: str, events: EventService) -> None:
    code = f"""
from eventsys import EventService
events = EventService(redis_url={redis_url!r}, name={events.settings.name!r})
for n in range(200):
    events.publish_async("a.b", {{"n": n}})
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=110)
    assert events.get_metrics().total_events == 200


def test_a_forked_child_sends_nothing_of_its_parent_and_shares_no_connection(
    redis_url: str, services: Services
) -> None:
    proxy = CuttingProxy(redis_url)
    events = services.make(redis_url=proxy.url)
    events.publish("x.y", {})
    with events.bus.publisher.buffer._changed:  # the flusher cannot begin
        events.bus.publisher.buffer._waiting.append((events.bus.drafter.draft("a.b", {"from": "parent"}), None))
        child = os.fork()
        if child == 0:
            try:
                events.publish_async("c.d", {"from": "child"}).result(timeout=60)
                events.publish("c.d", {"from": "child"})
                os._exit(len(events.bus.publisher.buffer._waiting))
            except BaseException:
                os._exit(99)
        _, status = os.waitpid(child, 0)
        events.bus.publisher.buffer._waiting.clear()
    assert os.waitstatus_to_exitcode(status) == 0
    assert events.publish("x.z", {}).type == "x.z"
    assert events.get_metrics().total_events == 4
    proxy.close()


def test_an_interruption_while_the_lead_is_passed_on_strands_nobody(events: EventService) -> None:
    trips = events.bus.publisher._trips
    pass_on = trips._pass_on

    def cut_short() -> None:
        trips._pass_on = pass_on
        raise KeyboardInterrupt

    trips._pass_on = cut_short
    with pytest.raises(KeyboardInterrupt):
        events.publish("a.b", {})
    done: list[str] = []
    after = threading.Thread(target=lambda: done.append(events.publish("a.b", {}).id), daemon=True)
    after.start()
    after.join(30)
    assert done


def test_an_interrupted_thread_does_not_strand_those_behind_it(events: EventService) -> None:
    events.publish("x.y", {})
    trips = events.bus.publisher._trips
    send, entered, goes_on = trips._send, threading.Event(), threading.Event()

    def interrupted(steps: list[Any]) -> list[Any]:
        trips._send = send
        entered.set()
        goes_on.wait(60)
        raise KeyboardInterrupt

    trips._send = interrupted
    caught: list[BaseException] = []

    def publish_and_be_interrupted() -> None:
        try:
            events.publish("a.b", {"n": 0})
        except KeyboardInterrupt as error:
            caught.append(error)

    first = threading.Thread(target=publish_and_be_interrupted)
    first.start()
    assert entered.wait(60)
    done: list[str] = []
    others = [threading.Thread(target=lambda: done.append(events.publish("a.b", {}).id)) for _ in range(3)]
    for other in others:
        other.start()
    goes_on.set()
    for thread in (first, *others):
        thread.join(60)
    assert len(caught) == 1
    assert len(done) == 3


def test_while_redis_is_away_a_try_follows_at_the_latest_after_the_flush_interval() -> None:
    assert list(islice(waits_s(1.0), 6)) == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert list(islice(waits_s(0.05), 3)) == [0.05, 0.05, 0.05]
