"""Reading Redis's clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from eventsys.clock import Clock
from eventsys.errors import EventsysError

#: How often it is asked at most for one reading; the quickest answer counts, since only that one was not kept waiting.
_READINGS = 3

#: Seconds of an answer that was not kept waiting: there is no need to ask again.
_PROMPT_S = 0.0005


def ask_by(clock: Clock, call: Callable[..., Any]) -> Callable[[], None]:
    """Return what a clock asks Redis with when it is wanted first: a process that only schedules has no heartbeat.

    It raises nothing: where Redis is away, what follows will tell.
    """

    def ask() -> None:
        with suppress(EventsysError):
            read_clock(clock, call)

    return ask


def read_clock(clock: Clock, call: Callable[..., Any]) -> None:
    """Set `clock` from Redis's own, a round trip behind it at most and never ahead: nothing fires early by it.

    Args:
        clock: What is set.
        call: Sends one command and returns its reply.

    Raises:
        RedisUnavailableError: If Redis did not answer; the clock goes on as it was.
    """
    best: tuple[float, float, float] | None = None
    for _ in range(_READINGS):
        asked_at = clock.monotonic()
        seconds, micros = call("TIME")
        answered_at = clock.monotonic()
        if best is None or answered_at - asked_at < best[0]:
            best = (answered_at - asked_at, int(seconds) * 1000 + int(micros) / 1000, answered_at)
        if best[0] < _PROMPT_S:
            break
    if best is not None:
        _, redis_ms, answered_at = best
        clock.set_from(redis_ms, asked_at=answered_at, answered_at=answered_at)
