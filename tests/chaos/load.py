"""A publisher that knows what it was promised."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from eventsys import Event, EventService, Priority, RedisUnavailableError

_PAYLOAD = {"text": "x" * 180}


class Load(threading.Thread):
    """Publishes events at a rate until it is told to stop.

    When the fate of an event is unknown, it is published again under its id half of the time, and given up the other
    half: then it may be stored or not, but not by halves.

    Args:
        events: What it publishes with.
        event_type: The type of the events.
        rate: Events a second.
        seed: Decides priorities, and what is given up.
    """

    def __init__(self, events: EventService, event_type: str, *, rate: float, seed: int) -> None:
        super().__init__(name="load", daemon=True)
        self.accepted: list[str] = []
        self.unknown: list[str] = []
        self.errors = 0
        self._events = events
        self._type = event_type
        self._gap_s = 1 / rate
        self._random = random.Random(seed)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Publish no more, and return when the last event is accepted or given up."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Publish."""
        due_at = time.monotonic()
        while not self._stopped.is_set():
            event_id, priority = self._random.randbytes(12).hex(), self._random.choice(list(Priority))
            if self._publish(lambda: self._events.publish(self._type, _PAYLOAD, id=event_id, priority=priority)):  # noqa: B023 - called at once
                self.accepted.append(event_id)
            else:
                self.unknown.append(event_id)
            due_at = max(due_at + self._gap_s, time.monotonic() - 1)
            self._stopped.wait(max(0.0, due_at - time.monotonic()))

    def _publish(self, publish: Callable[[], Event]) -> bool:
        while True:
            try:
                publish()
            except RedisUnavailableError:
                self.errors += 1
                if self._random.random() < 0.5:
                    return False
                time.sleep(0.05)
            else:
                return True
