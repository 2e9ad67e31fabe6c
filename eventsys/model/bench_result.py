"""What `eventsys bench` measured."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Spread(BaseModel):
    """How long something took, over many times."""

    model_config = ConfigDict(frozen=True)

    p50_ms: float
    """Half of them took at most so many milliseconds."""
    p99_ms: float
    """99 in 100 took at most so many milliseconds."""
    count: int
    """How many there were."""


class BenchResult(BaseModel):
    """The figures of one machine with one Redis, one publisher and one worker process."""

    model_config = ConfigDict(frozen=True)

    redis_version: str
    is_persistent: bool
    """Whether Redis keeps an append-only file."""
    threads: int
    """Threads of the worker process."""
    publish_per_s: float
    """Events a second by `publish`, one after the other."""
    publish_many_per_s: float
    """Events a second by `publish_many`."""
    deliveries_per_s: float
    """Deliveries a second while events, each to three subscriptions, are published."""
    latency: Spread
    """From `publish` to the handler, one event at a time."""
    lateness: Spread
    """By how much delayed events reached their handler after they were due."""
    early: int
    """Delayed events that reached their handler before they were due."""
    recovery_s: float | None
    """From `kill -9` of a worker in a handler until another one runs that handler; None where that was left out."""
