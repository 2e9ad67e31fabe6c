"""Everything that `from eventsys import ...` gives."""

from eventsys.bus.event_bus import EventBus
from eventsys.bus.receipt import Receipt
from eventsys.errors import (
    AlreadyFiredError,
    AttemptEndedError,
    BackpressureError,
    BadSignatureError,
    BatchError,
    BufferFullError,
    CausationDepthError,
    CronTaskError,
    EmbeddedRedisError,
    EventConflictError,
    EventsysError,
    InlineHandlerError,
    InvalidCursorError,
    InvalidDurationError,
    InvalidEventError,
    InvalidPatternError,
    InvalidPayloadError,
    InvalidScheduleError,
    NotCommittedError,
    NotFoundError,
    PartialPublishError,
    PayloadEncryptedError,
    PublishUnknownError,
    RedisRefusedError,
    RedisUnavailableError,
    RedriveRefusedError,
    Reject,
    Retry,
    SettingsError,
    SubscriptionConflictError,
    SubscriptionError,
    UnreadableError,
    WaitTimeoutError,
)
from eventsys.model import catalog
from eventsys.model.cloudevents import from_cloudevent, to_cloudevent
from eventsys.model.cron_task import CronRun, CronTask, Overlap, RunOutcome, TaskState
from eventsys.model.dead_letter import DeadLetter, DeadLetterFilter, RedriveResult
from eventsys.model.event import Attempt, DelayedEvent, DeliveryRecord, Event, EventRecord
from eventsys.model.histogram import Timings
from eventsys.model.metrics import EventMetrics, Rates, SubscriptionMetrics, TypeMetrics
from eventsys.model.priority import Priority
from eventsys.model.queries import EventFilter, Page
from eventsys.model.replay import Replay, ReplayCount, ReplayState
from eventsys.model.retry_policy import RetryPolicy
from eventsys.model.standing import SubscriptionStanding
from eventsys.model.status import DeliveryStatus, EventStatus
from eventsys.model.subscription import Subscription, SubscriptionOptions, SubscriptionState
from eventsys.model.trace import Trace, TraceNode
from eventsys.model.trouble import Trouble
from eventsys.runtime.default_redis import use_embedded_redis_by_default
from eventsys.runtime.discovery import discover
from eventsys.scheduling.cron import CronService
from eventsys.scheduling.scheduler import DelayedEventScheduler
from eventsys.service import EventService
from eventsys.settings import Settings
from eventsys.store.chronicle import ExportBatch, ExportForm
from eventsys.store.event_store import EventStore
from eventsys.version import __version__

use_embedded_redis_by_default()

__all__ = [  # noqa: RUF022 - reads as a table of contents
    # The one object an application uses
    "EventService",
    "Settings",
    "discover",
    # Events
    "Event",
    "Priority",
    "Receipt",
    "catalog",
    "from_cloudevent",
    "to_cloudevent",
    # Handling
    "Retry",
    "Reject",
    "BatchError",
    "RetryPolicy",
    "Subscription",
    "SubscriptionOptions",
    "SubscriptionStanding",
    "SubscriptionState",
    # Dead letters
    "DeadLetter",
    "DeadLetterFilter",
    "RedriveResult",
    # Asking
    "Attempt",
    "DelayedEvent",
    "DeliveryRecord",
    "DeliveryStatus",
    "EventFilter",
    "EventMetrics",
    "TypeMetrics",
    "SubscriptionMetrics",
    "Rates",
    "Timings",
    "Trouble",
    "EventRecord",
    "EventStatus",
    "Page",
    "Replay",
    "ReplayCount",
    "ReplayState",
    "Trace",
    "TraceNode",
    "ExportBatch",
    "ExportForm",
    # Cron tasks, by `events.cron`
    "CronRun",
    "CronTask",
    "Overlap",
    "RunOutcome",
    "TaskState",
    # The working parts, held by the service as `bus`, `store`, `delayed` and `cron`
    "CronService",
    "DelayedEventScheduler",
    "EventBus",
    "EventStore",
    # Errors
    "AlreadyFiredError",
    "AttemptEndedError",
    "BackpressureError",
    "BadSignatureError",
    "BufferFullError",
    "CausationDepthError",
    "CronTaskError",
    "EmbeddedRedisError",
    "EventConflictError",
    "EventsysError",
    "InlineHandlerError",
    "InvalidCursorError",
    "InvalidDurationError",
    "InvalidEventError",
    "InvalidPatternError",
    "InvalidPayloadError",
    "InvalidScheduleError",
    "NotCommittedError",
    "NotFoundError",
    "PartialPublishError",
    "PayloadEncryptedError",
    "PublishUnknownError",
    "RedisRefusedError",
    "RedisUnavailableError",
    "RedriveRefusedError",
    "SettingsError",
    "SubscriptionConflictError",
    "SubscriptionError",
    "UnreadableError",
    "WaitTimeoutError",
    # This package
    "__version__",
]
