"""Finding events that nothing will ever end, and repairing them."""

from __future__ import annotations

from typing import NamedTuple

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script

#: Most events one script looks at: where each delivery is where its record says, that takes about 10 µs each.
_EVENTS_AT_ONCE = 100

#: Most entries of streams that one script looks through for deliveries that were moved: it blocks Redis for some ms.
LOOK_THROUGH = 3_000


class Repair(NamedTuple):
    """What was done to one event.

    Attributes:
        event_id: Which one.
        done: `put_back`, a delivery got a message again; `dispatched`, its dispatchers got it again; `counted`, its
            open deliveries were counted anew; `finished`, it or a delivery has ended; `refused` and Redis's reason.
    """

    event_id: str
    done: str


class Reconciliation:
    """Looks through the events that have been pending for a while, the oldest first, and goes on where it left off.

    Looking and repairing are one script, so what is under way is never touched, however many do this at once.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        retention_ms: How long the record of a finished event is kept.
    """

    def __init__(self, link: Link, keys: Keys, *, retention_ms: int) -> None:
        self._link = link
        self._keys = keys
        self._retention_ms = retention_ms

    def step(self, now_ms: int, before_ms: int, *, look_through: int = LOOK_THROUGH) -> tuple[list[Repair], bool]:
        """Look at some events, and return what was repaired, and whether the last of them was looked at.

        Args:
            now_ms: The time.
            before_ms: Only what was stored before is looked at.
            look_through: Most entries of streams to look through.
        """
        is_over, *done = self._link.run(
            script("reconcile_events"), self._keys.prefix, now_ms, self._retention_ms, before_ms, look_through,
            _EVENTS_AT_ONCE,
        )  # fmt: skip
        repairs = [Repair(one.decode(), what.decode()) for one, what in zip(done[::2], done[1::2], strict=True)]
        return repairs, bool(is_over)
