"""Somebody who schedules, reschedules and cancels, and knows what he was promised."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from dramatiq.errors import ConnectionClosed

from eventsys import AlreadyFiredError, EventConflictError, EventService, InvalidEventError, RedisUnavailableError
from eventsys.clock import from_ms

from .later_app import DUE, see_message

LONGEST_DELAY_MS = 6_000
"""How far ahead something is scheduled at most."""


@dataclass
class Promise:
    """What is known of one delayed event or message.

    Attributes:
        kind: `event` or `message`.
        dues_ms: When it may be due: more than one where the fate of a change is unknown.
        is_kept: Whether Redis said that it has it.
        is_cancelled: Whether Redis said that it was taken back; None: nobody knows.
    """

    kind: str
    dues_ms: set[int]
    is_kept: bool = False
    is_cancelled: bool | None = False
    changes: int = field(default=0)


class LaterLoad(threading.Thread):
    """Schedules at a rate, and changes its mind about some at the moment they are due.

    Args:
        events: What it schedules with.
        rate: Entries a second.
        seed: Decides delays, and what is changed when.
    """

    def __init__(self, events: EventService, *, rate: float, seed: int) -> None:
        super().__init__(name="later-load", daemon=True)
        self.promises: dict[str, Promise] = {}
        self.errors = 0
        self._events = events
        self._gap_s = 1 / rate
        self._random = random.Random(seed)
        self._planned: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Schedule no more, and return when nothing is under way."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Schedule, and carry out the changes of mind when they come."""
        next_at = time.monotonic()
        while not self._stopped.is_set():
            now_ms = self._events.broker.clock.now_ms()
            while self._planned and self._planned[0][0] <= now_ms:
                heapq.heappop(self._planned)[2]()
            if time.monotonic() >= next_at:
                self._add()
                next_at = max(next_at + self._gap_s, time.monotonic() - 0.2)
            self._stopped.wait(0.002)

    def _add(self) -> None:
        chance = self._random
        name, delay_ms = chance.randbytes(10).hex(), chance.randint(1, LONGEST_DELAY_MS)
        due_ms = self._events.broker.clock.now_ms() + delay_ms
        if chance.random() < 0.3:
            promise = self.promises[name] = Promise("message", {due_ms})
            self._send(name, promise, delay_ms)
            return
        promise = self.promises[name] = Promise("event", {due_ms})
        said = self._insist(lambda: self._events.schedule(DUE, {}, id=name, at=from_ms(due_ms)))
        promise.is_kept = said in ("done", "conflict")
        if promise.is_kept and chance.random() < 0.5:
            change = self._cancel if chance.random() < 0.5 else self._reschedule
            # At the very moment it is due, more often than not, so that both sides want it at once.
            early_ms = 0 if chance.random() < 0.6 else chance.randint(0, delay_ms)
            at_ms = due_ms - early_ms + chance.randint(-15, 15)
            heapq.heappush(self._planned, (at_ms, next(self._numbers), lambda: change(name, promise)))

    def _send(self, name: str, promise: Promise, delay_ms: int) -> None:
        try:
            see_message.send_with_options(args=(name,), delay=delay_ms)
        except ConnectionClosed:
            self.errors += 1  # it may be there or not; then it is nobody's promise
        else:
            promise.is_kept = True

    def _cancel(self, name: str, promise: Promise) -> None:
        said = self._insist(lambda: self._events.cancel(name))
        if said == "done":
            promise.is_cancelled = True
        elif said != "fired" or promise.changes:
            promise.is_cancelled = None

    def _reschedule(self, name: str, promise: Promise) -> None:
        due_ms = self._events.broker.clock.now_ms() + self._random.randint(1, 3_000)
        before = self.errors
        promise.dues_ms.add(due_ms)
        said = self._insist(lambda: self._events.reschedule(name, at=from_ms(due_ms)))
        if said == "done":
            promise.dues_ms = {due_ms}
        elif said == "fired" and self.errors == before:
            promise.dues_ms.discard(due_ms)

    def _insist(self, call: Callable[[], object]) -> str:
        """Make a call until its fate is known, and return it: done, conflict, fired; unknown where it took too long."""
        until = time.monotonic() + timedelta(seconds=20).total_seconds()
        errors = 0
        while time.monotonic() < until:
            try:
                call()
            except RedisUnavailableError:
                self.errors += 1
                errors += 1
                time.sleep(0.05)
            except AlreadyFiredError:
                return "fired" if not errors else "unknown"
            except EventConflictError:
                return "conflict"
            except InvalidEventError:
                return "unknown"
            else:
                return "done"
        return "unknown"
