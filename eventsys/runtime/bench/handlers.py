"""The handlers that `eventsys bench` measures; its workers import this module."""

from __future__ import annotations

import os
import threading
import time

from eventsys.model.event import Event
from eventsys.service import EventService

SUBSCRIBERS = 3

#: How long a handler waits to be killed; longer than a takeover takes.
_HELD_S = 25.0

events = EventService(app="bench")


def notes_key(name: str) -> str:
    """Return the list in which the handlers of `name` note things: a key of the bus, which is emptied with it."""
    return f"{events.broker.keys.prefix}:bench:{name}"


@events.on("bench.timed", name="timed", max_retries=0)
def timed(event: Event) -> None:
    """Note how many microseconds after its moment the event came; the monotonic clock is one for the whole machine."""
    late_us = time.monotonic_ns() // 1000 - int(event.payload["at_us"])
    events.broker.link.call("RPUSH", notes_key("times"), late_us)


@events.on("bench.held", name="held", timeout="60s")
def held(event: Event) -> None:  # noqa: ARG001 - a handler takes an event
    """Note which process has it and when; then, the first time, wait to be killed."""
    note = f"{os.getpid()} {time.monotonic()}"
    if events.broker.link.call("RPUSH", notes_key("held"), note) == 1:
        threading.Event().wait(_HELD_S)


def nothing(event: Event) -> None:
    """Take an event and succeed."""


for _number in range(SUBSCRIBERS):
    events.on("bench.fan", name=f"fan_{_number}")(nothing)
