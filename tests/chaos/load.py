"""A publisher that knows what it was promised."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from eventsys import EventService, Priority, RedisUnavailableError

_PAYLOAD = {"text": "x" * 180}

#: Most events of one call: so many are stored together or not at all.
MOST_AT_ONCE = 100

#: Seconds of events that are made up for after Redis was away; what is older is left out.
_ARREARS_S = 10.0


class Load(threading.Thread):
    """Publishes events at a rate until it is told to stop.

    All that are due by now go out in one call, which is one round trip: a call that takes long makes the next one
    larger, and the rate none the lower. When the fate of a call is unknown, its events are published again under their
    ids half of the time, and given up the other half: then they may all be stored or none, but no event by halves.

    Args:
        events: What it publishes with.
        event_type: The type of the events.
        rate: Events a second.
        seed: Decides priorities, and what is given up.

    Attributes:
        seconds: How long it has published, once it has stopped.
    """

    def __init__(self, events: EventService, event_type: str, *, rate: float, seed: int) -> None:
        super().__init__(name="load", daemon=True)
        self.accepted: list[str] = []
        self.unknown: list[str] = []
        self.errors = 0
        self.seconds = 0.0
        self._events = events
        self._type = event_type
        self._rate = rate
        self._random = random.Random(seed)
        self._stopped = threading.Event()

    @property
    def reached_rate(self) -> float:
        """Events a second that were accepted, once it has stopped."""
        return len(self.accepted) / self.seconds if self.seconds else 0.0

    def stop(self) -> None:
        """Publish no more, and return when the last event is accepted or given up."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Publish."""
        began_at = due_at = time.monotonic()
        while not self._stopped.is_set():
            now = time.monotonic()
            due_at = max(due_at, now - _ARREARS_S)
            count = min(MOST_AT_ONCE, int((now - due_at) * self._rate) + 1)
            made = [self._new_event() for _ in range(count)]
            (self.accepted if self._publish(made) else self.unknown).extend(one["id"] for one in made)
            due_at += count / self._rate
            self._stopped.wait(max(0.0, due_at - time.monotonic()))
        self.seconds = time.monotonic() - began_at

    def _new_event(self) -> dict[str, Any]:
        event_id, priority = self._random.randbytes(12).hex(), self._random.choice(list(Priority))
        return {"event_type": self._type, "payload": _PAYLOAD, "id": event_id, "priority": priority}

    def _publish(self, made: list[dict[str, Any]]) -> bool:
        while True:
            try:
                self._events.publish_many(made)
            except RedisUnavailableError:
                self.errors += 1
                if self._random.random() < 0.5:
                    return False
                time.sleep(0.05)
            else:
                return True
