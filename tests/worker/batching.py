"""Handlers of batches that a test decides about."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventService

#: Runs a test with every kind of handler.
kinds = pytest.mark.parametrize("kind", ["function", "coroutine", "object"])


class Calls:
    """A handler of batches that a test decides about.

    Args:
        act: Called with the number of the call, from 1, and its events.
    """

    def __init__(self, act: Callable[[int, list[Event[Any]]], None] = lambda number, events: None) -> None:
        self.batches: list[list[Any]] = []
        self.threads: set[str] = set()
        self._act = act
        self._lock = threading.Lock()

    def take(self, events: list[Event[Any]]) -> None:
        with self._lock:
            self.batches.append([event.payload["n"] for event in events])
            number = len(self.batches)
        self.threads.add(threading.current_thread().name)
        self._act(number, events)


def declare(events: EventService, kind: str, calls: Calls, **options: Any) -> None:
    """Subscribe `calls` as a function, a coroutine function, or an object."""
    settings: dict[str, Any] = {"name": "clicks", "batch_size": 4, "batch_wait": "5s", "retry_delay": "10ms"} | options

    async def coroutine(events: list[Event]) -> None:
        calls.take(events)

    class Handler:
        def handle(self, events: list[Event]) -> None:
            calls.take(events)

    def function(events: list[Event]) -> None:
        calls.take(events)

    handlers: dict[str, Any] = {"function": function, "coroutine": coroutine, "object": Handler()}
    events.on("click.*", **settings)(handlers[kind])


def publish(events: EventService, many: int, **fields: Any) -> list[Event[Any]]:
    """Publish so many clicks together."""
    return events.publish_many([{"event_type": "click.made", "payload": {"n": n}, **fields} for n in range(many)])
