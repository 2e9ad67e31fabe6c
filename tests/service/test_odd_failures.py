"""Handlers that fail in odd ways: no failure counts as a success, and none keeps the others from ending."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest

from eventsys import BatchError, DeliveryStatus, Event, EventService, EventStatus, InlineHandlerError, Retry
from eventsys.broker import endings
from eventsys.errors import InvalidEventError, PayloadEncryptedError
from eventsys.testing import EventHarness
from tests.support.entries import add_entry
from tests.support.waiting import eventually

Work = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """What is no valid Unicode cannot get from a process that runs tests to the one that reports."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class UnsayableError(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise KeyError("text")


ODD = {
    "surrogate": ValueError("no such file: \udcff.txt"),
    "unsayable": UnsayableError(),
    "endless": ValueError("é" * 100_000),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_error_with_odd_text_ends_its_delivery_and_no_other(events: EventService, work: Work, kind: str) -> None:
    @events.on("a.b", name="odd", max_retries=0)
    def odd(event: Event) -> None:
        if event.payload:
            raise ODD[event.payload["kind"]]

    work()
    record = events.wait(events.publish("a.b", {"kind": kind}).id, "60s")
    assert record.status is EventStatus.FAILED
    assert (record.error or "").startswith(type(ODD[kind]).__name__)
    assert events.wait(events.publish("a.b").id, "60s").status is EventStatus.DELIVERED


@pytest.mark.parametrize("part", ["actor_name", "message_id"])
def test_a_message_with_a_name_that_cannot_be_stored_is_a_dead_letter(
    events: EventService, work: Work, part: str
) -> None:
    events.on("a.b", name="h")(lambda event: None)
    wire = {"queue_name": "tests", "actor_name": "x", "args": [], "kwargs": {}, "options": {}, "message_id": "1"}
    text = json.dumps({**wire, "message_timestamp": 1, part: "\udcff"})
    work()
    add_entry(events.broker, events.broker.keys.lane("tests", 5), "m", text)
    assert events.wait(events.publish("a.b").id, "60s").status is EventStatus.DELIVERED
    letter = eventually(lambda: events.dead_letters.list().items)[0]
    assert letter.reason == "undecodable"


JUNK = ("x", [1], {"a": 1}, -1, True, None, 1e308)
OPTIONS = (
    "throws", "parked_ms", "retries", "max_retries", "min_backoff", "max_backoff", "time_limit", "max_age",
    "on_success", "on_failure", "pipe_target", "chain", "tick_ms", "cron", "redrives", "before",
    "first_ms", "replay", "lane",
)  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_a_wrong_kind_ends_no_thread_and_leaves_nothing(
    events: EventService, work: Work, option: str
) -> None:
    """Each ends in whatever way, or waits for a process that knows its actor."""
    fails = dramatiq.actor(actor_name="fails", queue_name="tests", max_retries=0, broker=events.broker)(lambda: 1 / 0)
    dramatiq.actor(actor_name="works", queue_name="tests", broker=events.broker)(lambda: None)
    events.on("a.b", name="h", max_retries=0)(_fail)
    event = events.publish("a.b")
    envelope = next(fields[1] for _, fields in events.broker.link.call("XRANGE", events.broker.keys.log(5), "-", "+"))
    work(threads=2)
    events.wait(event.id)
    lane, message = events.broker.keys.lane("tests", 5), fails.message().asdict()
    for at, junk in enumerate(JUNK):
        for actor in ("fails", "works", "unknown"):
            wire = {**message, "actor_name": actor, "message_id": f"{at}-{actor}", "options": {option: junk}}
            add_entry(events.broker, lane, "m", json.dumps(wire))
        add_entry(events.broker, lane, "s", "h", "e", envelope, "o", json.dumps({option: junk}))
    eventually(lambda: events.broker.link.call("XLEN", lane) == 0)
    assert events.dead_letters.list().items
    assert events.wait(events.publish("c.d").id, "60s").status is EventStatus.DELIVERED


def _fail(event: Event) -> None:
    raise ValueError("no")


def test_an_error_whose_text_cannot_be_made_is_told_of_by_publish(events: EventService) -> None:
    @events.on("a.b", name="odd", async_=False)
    def odd(event: Event) -> None:
        raise UnsayableError

    with pytest.raises(InlineHandlerError, match="its text cannot be made, for KeyError"):
        events.publish("a.b")


def test_what_cannot_be_committed_keeps_nothing_else_from_it(
    events: EventService, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "_storable", lambda text: text)

    @events.on("a.b", name="odd", max_retries=0)
    def odd(event: Event) -> None:
        if event.payload:
            raise ODD["surrogate"]

    work()
    bad = events.publish("a.b", {"is": "odd"})
    good = [events.publish("a.b") for _ in range(20)]
    assert {events.wait(one.id, "60s").status for one in good} == {EventStatus.DELIVERED}
    assert events.get_event(bad.id).status is EventStatus.PENDING


@pytest.mark.parametrize("delay", ["soon", -5, float("nan"), object()])
def test_a_retry_after_no_duration_comes_after_the_usual_wait(harness: EventHarness, delay: Any) -> None:
    seen: list[str] = []

    @harness.events.on("a.b", name="again", max_retries=1, retry_delay="1h")
    def again(event: Event) -> None:
        seen.append(event.id)
        if len(seen) == 1:
            raise Retry("not now", delay=delay)

    event = harness.events.publish("a.b")
    harness.advance(hours=2)
    record = harness.events.get_event(event.id)
    assert record.status is EventStatus.DELIVERED
    assert seen == [event.id] * 2


class EmptyError(Exception):
    """An error that is false as a value, such as one that holds a list of problems."""

    def __len__(self) -> int:
        return 0


def test_a_failure_in_a_batch_that_is_false_as_a_value_is_no_success(events: EventService, work: Work) -> None:
    @events.on("a.b", name="odd", batch_size=2, batch_wait="10s", max_retries=0)
    def odd(batch: list[Event]) -> None:
        raise BatchError({event.id: EmptyError() for event in batch if event.payload["is_bad"]})

    work()
    made = events.publish_many([("a.b", {"is_bad": is_bad}) for is_bad in (True, False)])
    assert [events.wait(one.id, "60s").status for one in made] == [EventStatus.FAILED, EventStatus.DELIVERED]


@pytest.mark.parametrize("batch_size", [None, 10])
def test_a_failure_that_nobody_decides_about_is_no_success(
    events: EventService, work: Work, batch_size: int | None
) -> None:
    """The hook that decides breaks, and hooks that break are only logged."""

    @events.on("a.b", name="odd", batch_size=batch_size)
    def odd(events: Any) -> None:
        ask = dramatiq.Retry(delay="soon")  # type: ignore[arg-type]
        if batch_size is None:
            raise ask
        raise BatchError({event.id: ask for event in events})

    work()
    record = events.wait(events.publish("a.b").id, "60s")
    assert record.status is EventStatus.FAILED
    assert record.deliveries[0].status is DeliveryStatus.DEAD


@pytest.mark.parametrize(
    ("error", "ends_as"),
    [(PayloadEncryptedError("no key"), EventStatus.DELIVERED), (InvalidEventError("bad"), EventStatus.PENDING)],
)
def test_an_event_that_cannot_be_resolved_again_keeps_nothing_from_its_commit(
    events: EventService, work: Work, monkeypatch: pytest.MonkeyPatch, error: Exception, ends_as: EventStatus
) -> None:
    """The subscriptions changed before its commit, and then its filter cannot look into it."""
    events.on("a.b", name="h")(lambda event: None)
    route, asked = events.bus.router.route, []

    def stale_then_failing(envelope: str) -> Any:
        if asked and envelope != asked[0]:
            return route(envelope)
        asked.append(envelope)
        if len(asked) == 2:
            raise error
        found = route(envelope)
        return found._replace(version="0") if len(asked) == 1 else found

    monkeypatch.setattr(events.bus.router, "route", stale_then_failing)
    first = events.publish("a.b")
    work()
    if ends_as is EventStatus.DELIVERED:
        assert events.wait(first.id, "60s").status is ends_as
    assert events.wait(events.publish("a.b").id, "60s").status is EventStatus.DELIVERED
    assert len(asked) >= 2


@pytest.mark.parametrize("kind", ODD)
def test_a_run_of_a_cron_task_that_fails_with_odd_text_ends(harness: EventHarness, kind: str) -> None:
    @dramatiq.actor(broker=harness.events.broker, actor_name="tidy", queue_name="plain", max_retries=0)
    def tidy() -> None:
        raise ODD[kind]

    harness.events.cron.create("tidying", "0 * * * *", actor="tidy")
    harness.advance(hours=1)
    [run] = harness.events.cron.history("tidying").items
    assert str(run.outcome) == "failed"
    assert (run.error or "").startswith(type(ODD[kind]).__name__)
