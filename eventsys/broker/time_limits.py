"""What an error says of a handler that ran too long: its limit, and what to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dramatiq.middleware.time_limit import TimeLimitExceeded

from eventsys.readable import span

from .actor import HandlerActor
from .messages import Received


def name_limit(message: Received, error: BaseException) -> None:
    """Let the error of an attempt that ran too long say so; any other stays as it is, and so does one with a text.

    The interrupt is raised in the handler's thread as a bare class, because nothing else can be raised there. So what
    it says is written down afterwards, on the one error that the log, the hooks and the commit share.
    """
    if not isinstance(error, TimeLimitExceeded) or error.args:
        return
    actor: Any = message.actor
    if isinstance(actor, HandlerActor):
        limit_ms, whose, remedy = actor.timeout_ms, "timeout", "raise the timeout of the subscription"
    else:
        limit_ms = message.options.get("time_limit") or (actor.options.get("time_limit") if actor else None)
        whose, remedy = "time limit", "give the actor a longer time_limit"
    of = f" of {_shown(limit_ms)}" if isinstance(limit_ms, (int, float)) else ""
    error.args = (f"ran longer than its {whose}{of}; {remedy}, or do less in one attempt",)


def _shown(limit_ms: float) -> str:
    try:
        return span(timedelta(milliseconds=limit_ms))
    except (OverflowError, ValueError):  # a stranger wrote what is no time
        return f"{limit_ms} ms"
