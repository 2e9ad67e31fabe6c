"""Emptying a queue, by waiting or by dropping what it holds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from eventsys.model.priority import LANES
from eventsys.store.keys import LOG_QUEUE, Keys
from eventsys.store.link import Link
from eventsys.store.scripts import script

#: Seconds between two looks.
_LOOK_S = 0.02

#: Most entries that one script drops: it blocks Redis meanwhile.
_FLUSH_AT_ONCE = 500


def is_idle(link: Link, keys: Keys, queue: str) -> bool:
    """Say whether nothing of a queue waits, runs, is uncommitted or delayed.

    A message leaves its lane with the commit that ends it, so a lane's length counts the first three; what waits in the
    room of a subscription is its queue's too.
    """
    if queue == LOG_QUEUE:
        return bool(link.call("ZCARD", keys.pending) == 0)
    # The rooms before and after: what leaves one for a lane between two commands is in neither else.
    rooms = _rooms(link, keys, queue)
    commands = [*(("XLEN", room) for room in rooms), *(("XLEN", keys.lane(queue, lane)) for lane in LANES)]
    *lengths, delayed = link.pipeline([*commands, ("HGET", keys.delayed_queues, queue)])
    return not any(lengths) and not int(delayed or 0) and not (_rooms(link, keys, queue) - rooms)


def _rooms(link: Link, keys: Keys, queue: str) -> set[str]:
    """Return the rooms of the subscriptions of a queue that have deliveries waiting."""
    return {keys.room(name, lane) for name in _waiting(link, keys, queue) for lane in LANES}


def _waiting(link: Link, keys: Keys, queue: str) -> list[str]:
    names = [name.decode() for name in link.call("SMEMBERS", keys.waiting)]
    rows = link.call("HMGET", keys.subscriptions, *names) if names else []
    return [name for name, row in zip(names, rows, strict=True) if row and json.loads(row)["queue"] == queue]


def wait_until(is_so: Callable[[], bool], timeout_ms: int | None) -> bool:
    """Look until something is so, for at most `timeout_ms`, and say whether it is."""
    deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
    never = threading.Event()
    while not is_so():
        if deadline is not None and time.monotonic() >= deadline:
            return False
        never.wait(_LOOK_S)
    return True


def _go_on() -> None:
    """Do nothing: there is no end to how long it may take."""


def flush(
    link: Link,
    keys: Keys,
    queue: str,
    *,
    now_ms: int,
    retention_ms: int,
    ended: str = "",
    real_ms: int = 0,
    between: Callable[[], None] = _go_on,
) -> bool:
    """Drop all messages of a queue, those that wait for their time or in a waiting room too; its deliveries end as
    cancelled. Return whether any were spared.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        queue: The name of the queue.
        now_ms: The time.
        retention_ms: How long the record of a finished event is kept.
        ended: The subscription whose queue it is, if that must have ended and not be settled; else nothing is dropped.
        real_ms: Real time, which leases are measured in, if what living processes hold is to be spared; 0: it is not.
        between: Called after each script that perhaps left something. What it raises ends the flush there, and the next
            one goes on.
    """
    arguments = (keys.prefix, now_ms, retention_ms)
    for name in [] if ended else _waiting(link, keys, queue):
        while link.run(script("cancel_waiting"), *arguments, name, _FLUSH_AT_ONCE, 0):
            between()
        # Its room is empty now, which may end its resuming.
        link.run(script("release_waiting"), keys.prefix, now_ms, name)
    is_any_spared = False
    for lane in LANES:
        begin = "-"
        while begin:
            given = (keys.lane(queue, lane), _FLUSH_AT_ONCE, ended, real_ms, begin)
            last, spared = link.run(script("flush_queue"), *arguments, *given)
            # Of the first look too: what ended since may have left a retry, which is not looked for again here.
            is_any_spared = is_any_spared or spared > 0
            begin = f"({last.decode()}" if last else ""
            if begin:
                between()
    while link.run(script("flush_delayed"), *arguments, queue, _FLUSH_AT_ONCE, ended):
        between()
    return is_any_spared
