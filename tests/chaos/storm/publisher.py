"""A publisher that notes what it was promised: a process of its own, to be killed like the others."""

from __future__ import annotations

import argparse
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from eventsys import (
    BackpressureError,
    BufferFullError,
    EventConflictError,
    EventService,
    EventsysError,
    Priority,
    PublishUnknownError,
    RedisUnavailableError,
)
from eventsys.bus.receipt import Receipt
from tests.chaos.ledger import Ledger

from .names import BUS, DUE, MADE

LONGEST_DELAY_S = 15.0
"""How far ahead something is scheduled at most."""

_PAYLOAD = {"text": "x" * 180}


class Publisher:
    """Publishes at a rate until it is told to end, in three ways: at once, through the buffer, and for later.

    What it was told is in the ledger: `try`, then `accepted`, `refused` (nothing was stored) or `unknown`. What it was
    refused, or does not know, it publishes again under its id half of the time. A `try` without an answer is of a
    publisher that was killed.

    Args:
        events: What it publishes with.
        ledger: Where it notes.
        rate: Events a second.
        seed: Decides what is published how.
    """

    def __init__(self, events: EventService, ledger: Ledger, *, rate: float, seed: int) -> None:
        self._events = events
        self._ledger = ledger
        self._gap_s = 1 / rate
        self._random = random.Random(seed)
        self._stopped = threading.Event()

    def stop(self, *_: object) -> None:
        """Publish no more."""
        self._stopped.set()

    def run(self) -> None:
        """Publish."""
        due_at = time.monotonic()
        while not self._stopped.is_set():
            self._publish_one()
            due_at = max(due_at + self._gap_s, time.monotonic() - 1)
            self._stopped.wait(max(0.0, due_at - time.monotonic()))

    def _publish_one(self) -> None:
        event_id, priority, way = os.urandom(10).hex(), self._random.choice(list(Priority)), self._random.random()
        if way < 0.2:
            delay_s = self._random.uniform(0.001, LONGEST_DELAY_S)
            self._ledger.note("try", event_id, DUE)
            self._insist(
                event_id,
                DUE,
                lambda: self._events.schedule(DUE, _PAYLOAD, id=event_id, priority=priority, delay=delay_s),
            )
            return
        self._ledger.note("try", event_id, MADE)
        if way < 0.5:
            self._buffer(event_id, priority)
        else:
            self._insist(event_id, MADE, lambda: self._events.publish(MADE, _PAYLOAD, id=event_id, priority=priority))

    def _insist(self, event_id: str, kind: str, publish: Callable[[], object]) -> None:
        is_repeated = False
        while True:
            began_at = time.monotonic()
            try:
                publish()
            except EventsysError as error:
                said = "accepted" if is_repeated and isinstance(error, EventConflictError) else _said(error)
                self._ledger.note(said, event_id, type(error).__name__, f"{time.monotonic() - began_at:.2f}")
                if said == "accepted":
                    return
                is_repeated = True
                if self._stopped.is_set() or self._random.random() < 0.5:
                    return
                self._stopped.wait(0.1)
                # What comes of this try is not known before it is noted: the answer to the one before is none to this.
                self._ledger.note("try", event_id, kind)
            else:
                self._ledger.note("accepted", event_id, "-", f"{time.monotonic() - began_at:.2f}")
                return

    def _buffer(self, event_id: str, priority: Priority) -> None:
        began_at = time.monotonic()
        try:
            receipt = self._events.publish_async(MADE, _PAYLOAD, id=event_id, priority=priority)
        except BufferFullError as error:
            self._ledger.note("refused", event_id, type(error).__name__, f"{time.monotonic() - began_at:.2f}")
            return
        receipt.when_done(lambda receipt: self._buffered(event_id, receipt))

    def _buffered(self, event_id: str, receipt: Receipt) -> None:
        try:
            receipt.result()
        except EventsysError as error:
            # A try of the flusher may have arrived: what it gives up at the end is nobody's promise.
            self._ledger.note("unknown", event_id, type(error).__name__, "0")
        else:
            self._ledger.note("accepted", event_id, "-", "0")


def _said(error: EventsysError) -> str:
    if isinstance(error, PublishUnknownError):
        return "unknown"
    return "refused" if isinstance(error, (RedisUnavailableError, BackpressureError)) else "broken"


def main() -> None:
    """Publish until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    events = EventService(name=BUS, announce=False, bus={"buffer_size": 200, "publish_timeout": "2s"})
    publisher = Publisher(events, Ledger(Path(os.environ["CHAOS_LEDGER"])), rate=options.rate, seed=options.seed)
    signal.signal(signal.SIGTERM, publisher.stop)
    publisher.run()
    events.stop()


if __name__ == "__main__":
    main()
