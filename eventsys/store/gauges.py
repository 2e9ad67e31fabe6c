"""How a bus stands now, in figures that nothing adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventsys.clock import Clock
from eventsys.model.priority import LANES
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import numbers_of, reply_of, whole_number


@dataclass(frozen=True)
class Gauges:
    """Figures of one moment.

    Attributes:
        pending: Events that are stored and have not ended.
        dead_letters: Dead letters of deliveries and of plain actors.
        scheduled: Delayed events that wait, by priority.
        oldest_due_s: Seconds that the first entry of the delayed store has been due; 0 when none is.
        poller_lag_s: Seconds since the lead of the last poller ended; 0 while one leads, None when none was seen.
        history_bytes: Memory of the log, as Redis estimates it; None where it does not say.
    """

    pending: int
    dead_letters: int
    scheduled: Mapping[str, int]
    oldest_due_s: float
    poller_lag_s: float | None
    history_bytes: int | None


def read_gauges(link: Link, keys: Keys, clock: Clock) -> Gauges:
    """Return the figures of this moment, in one round trip."""
    pending, dead_letters, scheduled, near, far, leader, *sizes = link.pipeline(
        [
            ("ZCARD", keys.pending),
            ("ZCARD", keys.dead),
            ("HGETALL", keys.delayed_priorities),
            ("ZRANGE", keys.delayed_due, 0, 0, "WITHSCORES"),
            ("ZRANGE", keys.delayed_far_due, 0, 0, "WITHSCORES"),  # where nobody promotes, what is due is still there
            ("GET", keys.poller),
            *(("MEMORY", "USAGE", keys.log(lane)) for lane in LANES),
        ]
    )
    pending, dead_letters, scheduled, leader = map(reply_of, (pending, dead_letters, scheduled, leader))
    heads = [float(head[1]) for head in map(reply_of, (near, far)) if head]
    late_ms = clock.now_ms() - min(heads) if heads else 0.0
    lag_ms = clock.real_ms() - (whole_number(leader.partition(b" ")[0]) or 0) if leader else None
    refused = any(isinstance(size, Exception) for size in sizes)  # a user without the command MEMORY
    return Gauges(
        pending=int(pending),
        dead_letters=int(dead_letters),
        scheduled=numbers_of(keys.delayed_priorities, scheduled),
        oldest_due_s=max(0.0, late_ms / 1000),
        poller_lag_s=None if lag_ms is None else max(0.0, lag_ms / 1000),
        history_bytes=None if refused else sum(int(size or 0) for size in sizes),
    )
