"""Spans of OpenTelemetry: one where an event is published, one for each attempt to handle it."""

from __future__ import annotations

from typing import Any, TypeVar

from dramatiq import Broker, MessageProxy, Middleware
from pydantic import BaseModel

from eventsys.broker.batch import Batch
from eventsys.broker.messages import DeliveryMessage
from eventsys.errors import SettingsError
from eventsys.model.event import Event
from eventsys.model.event_types import is_system_type
from eventsys.model.texts import LONGEST_HEADER

P = TypeVar("P", bound=dict[str, Any] | BaseModel)

#: The W3C's headers; an event carries them to its handlers.
_CARRIED = ("traceparent", "tracestate")


class Tracing(Middleware):
    """Traces events from who publishes them to who handles them, by the semantic conventions for messaging.

    An event gets a PRODUCER span `publish <type>`, which covers its making: it is stored together with others, perhaps
    with the commit of an attempt. Its context travels in the headers of the event. Each attempt is a CONSUMER span
    `process <type>`, child of that span and linked to it; what the handler does and publishes is below it.

    Args:
        provider: Where spans go; None: OpenTelemetry's global provider.

    Raises:
        SettingsError: If opentelemetry-api is not installed.
    """

    #: The kinds of messages that this does something for, when they carry no options and do not fail.
    concerns = (DeliveryMessage, Batch)

    def __init__(self, provider: Any = None) -> None:
        try:
            from opentelemetry import context, trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise SettingsError("tracing needs opentelemetry-api: pip install 'eventsys[otel]'") from error
        self._context = context
        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = trace.get_tracer("eventsys", tracer_provider=provider)

    def published(self, event: Event[P]) -> Event[P]:
        """Return an event that is about to be published with the context of its span; system events have none."""
        if is_system_type(event.type):
            return event
        is_inside = self._trace.get_current_span().get_span_context().is_valid
        parent = None if is_inside else self._propagator.extract(event.headers)
        span = self._tracer.start_span(
            f"publish {event.type}",
            context=parent,
            kind=self._trace.SpanKind.PRODUCER,
            attributes={**_attributes(event.type, event.id, event.correlation_id), **_operation("create", "publish")},
        )
        span.end()
        carried = {name: value for name, value in event.headers.items() if name not in _CARRIED}
        self._propagator.inject(carried, self._trace.set_span_in_context(span))
        if len(carried.get("tracestate", "")) > LONGEST_HEADER:
            del carried["tracestate"]  # a trace makes no event too large; the span is told of by the other header
        return event.model_copy(update={"headers": carried})

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Begin the span of an attempt, and make it the current one."""
        if isinstance(message, Batch):
            self._begin_batch(message)
        if not isinstance(message, DeliveryMessage):
            return
        header = message.header
        parent = self._propagator.extract(header.headers)
        origin = self._trace.get_current_span(parent).get_span_context()
        span = self._tracer.start_span(
            f"process {header.type}",
            context=parent,
            kind=self._trace.SpanKind.CONSUMER,
            links=[self._trace.Link(origin)] if origin.is_valid else [],
            attributes={
                **_attributes(header.type, header.id, header.chain_id),
                **_operation("process", "process"),
                "messaging.destination.subscription.name": message.subscription,
                "messaging.consumer.group.name": message.subscription,
                "eventsys.attempt": message.previous + 1,
            },
        )
        message.span = (span, self._context.attach(self._trace.set_span_in_context(span)))

    def _begin_batch(self, batch: Batch) -> None:
        """Begin the one span of a call for many deliveries, linked to the span of each event."""
        parents = [self._propagator.extract(one.header.headers) for one in batch.deliveries]
        origins = [self._trace.get_current_span(parent).get_span_context() for parent in parents]
        span = self._tracer.start_span(
            f"process {batch.actor_name}",
            kind=self._trace.SpanKind.CONSUMER,
            links=[self._trace.Link(origin) for origin in origins if origin.is_valid],
            attributes={
                "messaging.system": "eventsys",
                **_operation("process", "process"),
                "messaging.batch.message_count": len(batch.deliveries),
                "messaging.destination.subscription.name": batch.actor_name,
                "messaging.consumer.group.name": batch.actor_name,
            },
        )
        batch.span = (span, self._context.attach(self._trace.set_span_in_context(span)))

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002
        message: MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """End it, with the error if there was one."""
        if not isinstance(message, (Batch, DeliveryMessage)) or message.span is None:
            return
        (span, token), message.span = message.span, None
        try:
            if exception is not None:
                span.set_attribute("error.type", type(exception).__qualname__)
                span.set_status(self._trace.StatusCode.ERROR, type(exception).__qualname__)
                span.record_exception(exception)  # which asks it for its text, and some have none
        finally:
            span.end()
            self._context.detach(token)

    after_skip_message = after_process_message


def _attributes(event_type: str, event_id: str, chain_id: str | None) -> dict[str, Any]:
    return {
        "messaging.system": "eventsys",
        "messaging.destination.name": event_type,
        "messaging.message.id": event_id,
        "messaging.message.conversation_id": chain_id or event_id,
    }


def _operation(kind: str, name: str) -> dict[str, str]:
    return {"messaging.operation.type": kind, "messaging.operation.name": name}
