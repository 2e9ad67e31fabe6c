"""What surrounds an attempt, one concern a file."""

from __future__ import annotations

from dramatiq import Middleware
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, ShutdownNotifications

from .carrying import carried_attempt
from .correlation import Chain, Correlation, current_chain, enter_chain, leave_chain
from .delay import Delay
from .event_loop import EventLoop
from .expiry import Expiry
from .lifecycle import Lifecycle
from .outcome import Outcome
from .periodic import Periodic
from .retries import Retries
from .timeout import Timeout
from .tracing import Tracing

__all__ = [
    "Chain",
    "Correlation",
    "Delay",
    "EventLoop",
    "Expiry",
    "Lifecycle",
    "Outcome",
    "Periodic",
    "Retries",
    "Timeout",
    "Tracing",
    "carried_attempt",
    "current_chain",
    "default_middleware",
    "enter_chain",
    "leave_chain",
]


def default_middleware() -> list[Middleware]:
    """Return what an event broker works with: Dramatiq's own, with our time limit and retries in place of its.

    The order matters: hooks before a message run from the first to the last, those after it from the last to the first,
    so the outcome is measured next to the handler, and the retry is decided before a run is called over and before
    callbacks and pipelines are.
    """
    return [
        AgeLimit(),
        ShutdownNotifications(),
        Callbacks(),
        Pipelines(),
        Periodic(),
        Retries(),
        EventLoop(),
        Expiry(),
        Delay(),
        Correlation(),
        Outcome(),
        Timeout(),
    ]
