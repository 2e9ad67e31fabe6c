"""What a handler publishes, schedules and sends goes out with its success, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest

from eventsys import AttemptEndedError, BackpressureError, Event, EventService, NotFoundError
from tests.support.fixtures import plain_and_sealed
from tests.support.waiting import eventually

pytestmark = plain_and_sealed()

Work = Callable[..., Any]


@pytest.mark.redis62
def test_what_a_handler_publishes_goes_out_with_its_success_only(events: EventService, work: Work) -> None:
    sent: list[str] = []
    attempts: list[int] = []
    actor = dramatiq.actor(lambda name: sent.append(name), actor_name="plain", broker=events.broker)

    @events.on("a.b", retry_delay="10ms")
    def handler(event: Event) -> None:
        attempts.append(1)
        events.publish("c.d", {"n": 1}, id=f"{event.id}-p{len(attempts)}")
        events.publish_many([("c.e", {}), ("c.e", {})])
        events.schedule("c.f", {}, delay="1h", id=f"{event.id}-s{len(attempts)}")
        actor.send(f"send {len(attempts)}")
        assert events.get_metrics().total_events == 1
        if len(attempts) == 1:
            raise ValueError

    work()
    event = events.publish("a.b", {})
    events.wait(event.id)
    eventually(lambda: sent)
    assert sent == ["send 2"]
    assert events.get_metrics().total_events == 4
    assert events.get_delayed_event(f"{event.id}-s2").type == "c.f"
    for name in (f"{event.id}-p1", f"{event.id}-s1"):
        with pytest.raises(NotFoundError):
            events.get_event(name)


@pytest.mark.redis62
def test_immediately_opts_out(events: EventService, quick_work: Work) -> None:
    @events.on("a.b", max_retries=0)
    def handler(event: Event) -> None:
        events.publish("c.d", {}, id="now", immediately=True)
        events.schedule("c.d", {}, id="later", delay="1h", immediately=True)
        raise ValueError

    quick_work()
    events.wait(events.publish("a.b", {}).id)
    assert events.get_event("now").type == "c.d"
    assert events.get_delayed_event("later").type == "c.d"


def test_what_a_plain_actor_publishes_commits_with_it_and_its_sends_do_not(
    events: EventService, quick_work: Work
) -> None:
    sent: list[int] = []
    other = dramatiq.actor(lambda n: sent.append(n), actor_name="other", broker=events.broker)
    attempts: list[int] = []

    def plain() -> None:
        attempts.append(1)
        events.publish("c.d", {}, id=f"e{len(attempts)}")
        other.send(len(attempts))
        if len(attempts) == 1:
            raise ValueError

    actor = dramatiq.actor(plain, actor_name="plain", broker=events.broker, min_backoff=10, max_backoff=20)
    quick_work()
    actor.send()
    events.wait("e2")
    eventually(lambda: sorted(sent) == [1, 2])
    with pytest.raises(NotFoundError):
        events.get_event("e1")


def test_correlation_causation_and_depth_follow_the_chain(events: EventService, quick_work: Work) -> None:
    @events.on("a.*")
    def handler(event: Event) -> None:
        if event.depth < 2:
            events.publish("a.next", {}, id=f"n{event.depth + 1}")

    quick_work()
    first = events.publish("a.first", {}, headers={"traceparent": "00-1"})
    last = events.wait("n2")
    assert (last.correlation_id, last.causation_id, last.depth) == (first.id, "n1", 2)
    assert last.headers == {"traceparent": "00-1"}
    assert events.publish("x.y", {}).depth == 0


def test_a_handler_that_feeds_itself_is_stopped(events: EventService, services: Any) -> None:
    looping = services.make(max_depth=3)

    @looping.on("a.b", name="loop", max_retries=0)
    def handler(event: Event) -> None:
        looping.publish("a.b", {}, id=f"d{event.depth + 1}")

    services.work(looping)
    looping.publish("a.b", {})
    assert "max_depth is 3" in (looping.wait("d3").error or "")


def test_after_the_attempt_its_context_publishes_nothing(events: EventService, quick_work: Work) -> None:
    contexts: list[Any] = []

    @events.on("a.b")
    def handler(event: Event) -> None:
        contexts.append(events.attempt_context())

    quick_work()
    events.wait(events.publish("a.b", {}).id)
    with contexts[0], pytest.raises(AttemptEndedError):
        events.publish("c.d", {})
    assert events.publish("c.d", {}).causation_id is None


@pytest.mark.parametrize("carries", [False, True])
def test_a_thread_takes_part_only_with_the_context(events: EventService, quick_work: Work, carries: bool) -> None:
    @events.on("a.b", max_retries=0)
    def handler(event: Event) -> None:
        context = events.attempt_context()

        def publish() -> None:
            if carries:
                with context:
                    events.publish("c.d", {}, id="from-thread")
            else:
                events.publish("c.d", {}, id="from-thread")

        thread = threading.Thread(target=publish)
        thread.start()
        thread.join()
        if not event.payload["succeeds"]:
            raise ValueError

    quick_work()
    events.wait(events.publish("a.b", {"succeeds": False}).id)
    if carries:
        with pytest.raises(NotFoundError):
            events.get_event("from-thread")
        event = events.publish("a.b", {"succeeds": True})
        events.wait(event.id)
        assert events.get_event("from-thread").causation_id == event.id
    else:
        assert events.get_event("from-thread").causation_id is None


@pytest.mark.parametrize(("count", "size"), [(1_001, 1), (40, 250_000)])
def test_an_attempt_publishes_no_more_than_one_commit_carries(
    events: EventService, quick_work: Work, count: int, size: int
) -> None:
    errors: list[BackpressureError] = []

    @events.on("a.b", max_retries=0)
    def handler(event: Event) -> None:
        try:
            for _ in range(count):
                events.publish("c.d", {"text": "x" * size})
        except BackpressureError as error:
            errors.append(error)
            raise

    quick_work()
    assert "immediately=True" in (events.wait(events.publish("a.b", {}).id).error or "")
    assert len(errors) == 1
    assert events.get_metrics().total_events == 1


@pytest.mark.parametrize("call", ["publish_many", "schedule_many"])
@pytest.mark.parametrize("count", [999, 1_000])
def test_of_too_many_at_once_an_attempt_keeps_none_though_its_handler_goes_on(
    events: EventService, quick_work: Work, call: str, count: int
) -> None:
    """One is published before, so that 999 more fit and 1,000 do not."""
    refusals: list[str] = []
    many = [{"event_type": "c.d", **({} if call == "publish_many" else {"delay": "1h"})}] * count

    @events.on("a.b", max_retries=0)
    def handler(event: Event) -> None:
        events.publish("c.e")
        try:
            (events.publish_many if call == "publish_many" else events.delayed.schedule_many)(many)
        except BackpressureError as error:
            refusals.append(str(error))

    quick_work()
    assert events.wait(events.publish("a.b").id).error is None
    taken = 0 if count == 1_000 else count
    assert events.get_metrics().total_events - 2 + events.delayed.get_pending_count() == taken
    assert ["1000 more of" in one for one in refusals] == [True] * (taken == 0)
