"""Spans of OpenTelemetry."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from eventsys import BatchError, Event, EventService, SettingsError
from eventsys.broker.worker import Worker
from eventsys.middleware import Tracing
from eventsys.model.new_events import new_event
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is traced, by a provider of the test's own in place of the global one."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def traced(services: Services, exporter: InMemorySpanExporter) -> EventService:
    return services.make(tracing=True)


def spans(exporter: InMemorySpanExporter, count: int) -> dict[str, ReadableSpan]:
    """Return the spans by name, once there are so many."""
    found = eventually(lambda: len(exporter.get_finished_spans()) >= count and exporter.get_finished_spans())
    assert len(found) == count
    return {one.name: one for one in found}


def is_child(child: ReadableSpan, parent: ReadableSpan) -> bool:
    assert child.parent is not None
    return (child.parent.span_id, child.context.trace_id) == (parent.context.span_id, parent.context.trace_id)


def test_an_event_is_one_trace_from_publish_to_what_its_handlers_publish(
    traced: EventService, services: Services, exporter: InMemorySpanExporter, worker_class: Any
) -> None:
    @traced.on("first.one", name="h")
    def handle(event: Event) -> None:
        with trace.get_tracer("application").start_as_current_span("work"):
            traced.publish("second.one", {})

    @traced.on("second.one", name="later")
    async def handle_later(event: Event) -> None:
        with trace.get_tracer("application").start_as_current_span("more work"):
            """Its span is below that of the attempt."""

    services.work(traced, worker_class)
    event = traced.publish("first.one", {})
    found = spans(exporter, 6)
    published, processed = found["publish first.one"], found["process first.one"]
    assert (published.kind, processed.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert published.parent is None
    assert is_child(processed, published)
    assert [link.context.span_id for link in processed.links] == [published.context.span_id]
    assert is_child(found["work"], processed)
    assert is_child(found["publish second.one"], found["work"])
    assert is_child(found["process second.one"], found["publish second.one"])
    assert is_child(found["more work"], found["process second.one"])
    common = {
        "messaging.system": "eventsys", "messaging.destination.name": "first.one", "messaging.message.id": event.id,
        "messaging.message.conversation_id": event.id,
    }  # fmt: skip
    assert published.attributes == common | {
        "messaging.operation.type": "create", "messaging.operation.name": "publish",
    }  # fmt: skip
    assert processed.attributes == common | {
        "messaging.operation.type": "process", "messaging.operation.name": "process",
        "messaging.destination.subscription.name": "h", "messaging.consumer.group.name": "h", "eventsys.attempt": 1,
    }  # fmt: skip
    assert found["process second.one"].attributes["messaging.message.conversation_id"] == event.id  # type: ignore[index]


def test_each_attempt_is_a_span_and_a_failed_one_says_why(
    traced: EventService, services: Services, exporter: InMemorySpanExporter
) -> None:
    @traced.on("first.one", name="h", retry_delay="1ms", max_retries=1)
    def handle(event: Event) -> None:
        raise ValueError("no")

    services.work(traced)
    traced.publish("first.one", {})
    eventually(lambda: len(exporter.get_finished_spans()) == 3)
    attempts = [one for one in exporter.get_finished_spans() if one.kind is SpanKind.CONSUMER]
    assert [one.attributes["eventsys.attempt"] for one in attempts] == [1, 2]  # type: ignore[index]
    assert {one.attributes["error.type"] for one in attempts} == {"ValueError"}  # type: ignore[index]
    assert all(one.status.status_code is StatusCode.ERROR for one in attempts)
    assert [event.name for event in attempts[0].events] == ["exception"]


def test_an_attempt_that_fails_with_an_error_without_a_text_is_a_span_too(
    traced: EventService, services: Services, exporter: InMemorySpanExporter
) -> None:
    class UnsayableError(Exception):
        def __str__(self) -> str:
            raise KeyError("text")

    @traced.on("first.one", name="h", max_retries=0)
    def handle(event: Event) -> None:
        raise UnsayableError

    services.work(traced)
    traced.publish("first.one", {})
    attempt = spans(exporter, 2)["process first.one"]
    assert attempt.status.status_code is StatusCode.ERROR
    assert attempt.attributes["error.type"] == UnsayableError.__qualname__  # type: ignore[index]


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_a_batch_is_one_span_linked_to_each_event_and_what_it_does_is_below_it(
    traced: EventService, services: Services, exporter: InMemorySpanExporter, kind: str
) -> None:
    def count(batch: list[Event]) -> None:
        with trace.get_tracer("application").start_as_current_span("work"):
            traced.publish("sum.made", {})
        raise BatchError({batch[0].id: ValueError("no")})

    async def count_async(batch: list[Event]) -> None:
        count(batch)

    handler: Any = count if kind == "function" else count_async
    traced.on("click.*", name="count", batch_size=3, batch_wait="1m", max_retries=0)(handler)
    services.work(traced, Worker)
    with trace.get_tracer("application").start_as_current_span("request"):
        made = traced.publish_many([("click.made", {})] * 3)
    for one in made:
        traced.wait(one.id)
    found = eventually(lambda: len(exporter.get_finished_spans()) == 7 and exporter.get_finished_spans())
    published = [one for one in found if one.name == "publish click.made"]
    (batch,) = [one for one in found if one.kind is SpanKind.CONSUMER]
    assert (batch.name, batch.parent) == ("process count", None)
    assert {link.context.span_id for link in batch.links} == {one.context.span_id for one in published}
    assert len(batch.links) == 3
    assert batch.attributes == {
        "messaging.system": "eventsys", "messaging.operation.type": "process", "messaging.operation.name": "process",
        "messaging.batch.message_count": 3, "messaging.destination.subscription.name": "count",
        "messaging.consumer.group.name": "count", "error.type": "BatchError",
    }  # fmt: skip
    by_name = {one.name: one for one in found}
    assert is_child(by_name["work"], batch)
    assert is_child(by_name["publish sum.made"], by_name["work"])


def test_a_trace_that_the_publisher_is_in_goes_on(traced: EventService, exporter: InMemorySpanExporter) -> None:
    with trace.get_tracer("application").start_as_current_span("request"):
        event = traced.publish("first.one", {}, headers={"tenant": "a"})
    found = spans(exporter, 2)
    assert is_child(found["publish first.one"], found["request"])
    assert event.headers["tenant"] == "a"
    assert traced.get_event(event.id).headers == event.headers


def test_a_trace_that_comes_in_a_header_goes_on(traced: EventService, exporter: InMemorySpanExporter) -> None:
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    event = traced.publish("first.one", {}, headers={"traceparent": f"00-{trace_id}-{span_id}-01"})
    span = spans(exporter, 1)["publish first.one"]
    assert span.parent is not None
    assert (span.context.trace_id, span.parent.span_id) == (int(trace_id, 16), int(span_id, 16))
    assert event.headers["traceparent"] == f"00-{trace_id}-{span.context.span_id:016x}-01"


def test_an_event_that_was_made_elsewhere_has_a_span_of_its_own_as_any_other(
    traced: EventService, services: Services, exporter: InMemorySpanExporter
) -> None:
    """One that was copied from another was handled in the trace of that, and one that was read in none."""
    traced.on("first.one", name="h")(lambda event: None)
    services.work(traced)
    old = traced.publish("old.one", {})
    with trace.get_tracer("application").start_as_current_span("request"):
        traced.publish_many([old.model_copy(update={"id": "copy", "type": "first.one"})])
    found = spans(exporter, 4)
    published = found["publish first.one"]
    assert is_child(published, found["request"])
    assert published.attributes["messaging.message.id"] == "copy"  # type: ignore[index]
    assert is_child(found["process first.one"], published)


def test_an_event_that_was_made_elsewhere_goes_on_with_the_trace_it_brings(
    traced: EventService, exporter: InMemorySpanExporter
) -> None:
    old = traced.publish("first.one", {})
    made = traced.publish(old.model_copy(update={"id": "copy"}))
    first, second = exporter.get_finished_spans()
    assert is_child(second, first)
    assert made.headers["traceparent"].split("-")[2] == f"{second.context.span_id:016x}"


def test_an_event_that_was_made_elsewhere_goes_on_with_the_trace_of_the_plain_actor_that_publishes_it(
    traced: EventService, services: Services, exporter: InMemorySpanExporter
) -> None:
    """A plain actor has no span of its own, and carries the trace of the handler that sent to it."""

    @dramatiq.actor(broker=traced.broker, queue_name="tests")
    def relay() -> None:
        traced.publish(Event.model_validate({**bare, "id": "made", "type": "second.one"}))

    bare = new_event("second.one", {}, now_ms=traced.broker.clock.now_ms()).model_dump()
    traced.on("first.one", name="h")(lambda event: relay.send())
    services.work(traced)
    traced.publish("first.one", {})
    found = spans(exporter, 3)
    assert is_child(found["publish second.one"], found["publish first.one"])


def test_a_trace_makes_no_event_too_large(traced: EventService) -> None:
    """The application may have put as much into the state of its trace as the specification has room for."""
    state = trace.TraceState([(f"v{number}", "x" * 256) for number in range(32)])
    context = trace.SpanContext(1, 1, is_remote=False, trace_flags=trace.TraceFlags(1), trace_state=state)
    headers = {f"{number:03}": "v" * 253 for number in range(64)}
    with trace.use_span(trace.NonRecordingSpan(context)):
        event = traced.publish("first.one", {}, headers=headers)
    assert event.headers.keys() == {*headers, "traceparent"}
    assert traced.publish(traced.get_event(event.id).model_copy(update={"id": "copy"})).id == "copy"


def test_what_the_system_says_is_not_traced(traced: EventService, exporter: InMemorySpanExporter) -> None:
    traced.bus.system.warn("disk:a", "full")
    assert traced.bus.system.flush(60)
    assert exporter.get_finished_spans() == ()


def test_nothing_is_traced_unless_that_is_asked_for(
    events: EventService, services: Services, exporter: InMemorySpanExporter
) -> None:
    events.on("first.one", name="h")(lambda event: None)
    services.work(events)
    event = events.publish("first.one", {})
    events.wait(event.id)
    assert event.headers == {}
    assert exporter.get_finished_spans() == ()


def test_opentelemetry_need_not_be_there_unless_that_is_asked_for() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import eventsys; eventsys.EventService(); print('fine')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "fine\n"


def test_tracing_without_opentelemetry_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import_module = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"pip install 'eventsys\[otel\]'"):
        Tracing()
