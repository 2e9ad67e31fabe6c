"""The values everything else passes along; nothing here does I/O."""

from __future__ import annotations

from eventsys.model.assembly import assemble_event, event_class_for
from eventsys.model.catalog import BUILTIN_TYPES, Catalog
from eventsys.model.cloudevents import from_cloudevent, to_cloudevent
from eventsys.model.durations import Duration, DurationLike, format_duration, parse_duration, to_milliseconds
from eventsys.model.envelope import (
    EventHeader,
    decode_event,
    decode_header,
    encode_event,
    header_fields,
    header_target,
    open_event,
)
from eventsys.model.event import Attempt, DelayedEvent, DeliveryRecord, Event, EventRecord
from eventsys.model.event_types import check_event_type
from eventsys.model.filters import PayloadFilter, compile_filter
from eventsys.model.identifiers import check_event_id, new_event_id
from eventsys.model.metrics import EventMetrics
from eventsys.model.new_events import new_event
from eventsys.model.patterns import Pattern, PatternIndex, check_pattern, pattern_matches
from eventsys.model.payloads import encode_payload
from eventsys.model.priority import LANES, Priority
from eventsys.model.queries import EventFilter, Page
from eventsys.model.retry_policy import RetryPolicy
from eventsys.model.status import DeliveryStatus, EventStatus, event_status
from eventsys.model.subscription import Subscription, SubscriptionOptions, SubscriptionState

__all__ = [  # noqa: RUF022 - grouped, as a table of contents
    # events
    "Event",
    "DelayedEvent",
    "EventRecord",
    "DeliveryRecord",
    "Attempt",
    "EventStatus",
    "DeliveryStatus",
    "event_status",
    "Priority",
    "LANES",
    "new_event",
    "new_event_id",
    "check_event_id",
    # types and payloads
    "BUILTIN_TYPES",
    "Catalog",
    "check_event_type",
    "encode_payload",
    # stored and foreign forms
    "EventHeader",
    "encode_event",
    "decode_event",
    "decode_header",
    "open_event",
    "header_fields",
    "header_target",
    "assemble_event",
    "event_class_for",
    "to_cloudevent",
    "from_cloudevent",
    # subscriptions
    "Subscription",
    "SubscriptionOptions",
    "SubscriptionState",
    "RetryPolicy",
    "Pattern",
    "PatternIndex",
    "check_pattern",
    "pattern_matches",
    "PayloadFilter",
    "compile_filter",
    # durations
    "Duration",
    "DurationLike",
    "parse_duration",
    "format_duration",
    "to_milliseconds",
    # questions and answers
    "EventFilter",
    "EventMetrics",
    "Page",
]
